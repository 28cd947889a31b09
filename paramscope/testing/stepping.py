"""What the optimizers step but should not, or should but do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from paramscope import text
from paramscope.analysis.changes import tied_parameters
from paramscope.analysis.paths import aligned, fold_paths, sizes, with_facts
from paramscope.report.face import Report
from paramscope.snapshot import ForeignRecord, SlotRecord
from paramscope.testing.message import Unmet, quoted
from paramscope.testing.slots import matching, registered_parameters, slot_lines, unmatched_globs
from paramscope.testing.wanted import Stepped


def check_stepped(report: Report, stepped: Stepped) -> Iterator[Unmet]:
    """One unmet expectation at most, and one more for each glob that matches nothing."""
    unstepped: list[SlotRecord] = []
    too_many: list[SlotRecord] = []
    if stepped == "all-trainable":
        asked = "stepped='all-trainable'"
        unstepped = [slot for slot in registered_parameters(report.snapshot) if slot.trainable and not slot.groups]
    else:
        asked = quoted("stepped", stepped)
        # An optimizer may hold what the model does not register: that is stepped, too.
        slots = [slot for slot in report.slots.records() if slot.stepped or slot.trainable or slot.frozen]
        yield from unmatched_globs("stepped", stepped, slots, report.snapshot)
        wanted = {slot.path for slot in matching(stepped, slots)}
        unstepped = [slot for slot in slots if slot.path in wanted and not slot.stepped]
        too_many = [slot for slot in slots if slot.path not in wanted and slot.stepped]
    foreign = list(_foreign(report))
    parts = []
    if unstepped:
        parts.append(f"{text.plural(len(unstepped), 'parameter')} not stepped")
    if too_many:
        parts.append(f"{text.plural(len(too_many), 'other parameter')} stepped")
    if foreign:
        parts.append(f"{text.plural(len(foreign), 'tensor')} in the optimizer that the model does not have")
    if not parts:
        return
    words = [
        ("frozen", [slot for slot in unstepped if slot.groups]),
        ("not stepped", [slot for slot in unstepped if not slot.groups]),
        ("stepped", too_many),
    ]
    lines = slot_lines(words, tied=tied_parameters(report.snapshot))
    yield Unmet(f"{asked}: {', '.join(parts)}", tuple(aligned([*lines, *_foreign_lines(foreign)])))


def _foreign(report: Report) -> Iterator[tuple[str, ForeignRecord]]:
    """(place, record) of what optimizers hold and the model does not have."""
    for optimizer in report.optimizers:
        name = optimizer.name if optimizer.name.isdigit() else repr(optimizer.name)
        for group in optimizer.groups:
            for each in group.foreign:
                yield f"optimizer[{name}].groups[{group.index}][{each.position}]", each


def _foreign_lines(foreign: Sequence[tuple[str, ForeignRecord]]) -> list[tuple[str, str]]:
    """(`foreign`, `optimizer[0].groups[0][3] (4×3, 12 elements), replaced by head.weight`)."""
    entries = [((place,), (each.shape, each.replaced_by is None)) for place, each in foreign]
    lines = []
    for row in fold_paths(entries):
        members = [foreign[index][1] for index in row.members]
        line = with_facts(row, *sizes(members[0].shape, members[0].numel, len(members)))
        # One slot cannot have taken the place of several.
        replacing = {each.replaced_by for each in members if each.replaced_by}
        rows = fold_paths([((path,), None) for path in sorted(replacing)])
        if len(rows) == 1 and len(replacing) == len(members):
            line += f", replaced by {rows[0].path}"
        lines.append(("foreign", line))
    return lines
