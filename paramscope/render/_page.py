"""Report → what a view says of it, the same for a terminal, Markdown and HTML: in pieces that each format escapes and
lays out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from paramscope import text
from paramscope.analysis.fold import Row
from paramscope.render._columns import fates, line_codes, role
from paramscope.render._line import MIXED, Line
from paramscope.render._lines import SHARING_GLYPHS, Lines, sharing_groups
from paramscope.render._pieces import Name, Pieces, Prose, joined
from paramscope.report.data import ReportData
from paramscope.snapshot import FATES, NO_OPTIMIZER, GroupRecord, Membership, OptimizerRecord

FATE_LETTERS = "fate: g gradients, s stepped, v saved, m moved by .to()"
_REASONS, _GLYPHS = 8, 3
"""What a legend names of the reasons why fates are unknown, and of glyphs of one kind."""
_COMMON: tuple[Literal["dtype", "device"], ...] = ("dtype", "device")
_SAID_ONCE: tuple[Literal["role", "dtype", "device"], ...] = ("role", *_COMMON)
_PLURALS = {"parameter": "parameters", "buffer": "buffers", "attribute": "attributes", "module": "modules"}
COUNTED_ABOVE = "elements in parentheses were counted above"
CLOSED = "…"
"""What marks a module whose inside is not listed."""


class Point(NamedTuple):
    """One thing that is said, and what it is said of."""

    words: Pieces
    items: Sequence[Pieces] = ()


def title(report: ReportData) -> Pieces:
    """What was audited: the target, the class of each root, and its mode."""
    paths = report.snapshot.module_columns.paths
    # Not by path: to find one, all would be indexed.
    roots = [report.modules.at(paths.index(path)) for path in report.snapshot.roots]
    modes = {root.training for root in roots}
    mode = "mixed modes" if len(modes) > 1 else "training mode" if modes.pop() else "eval mode"
    kinds = joined([[Name(text.class_name(root.type))] for root in roots], " + ")
    return [*([Name(report.target), ": "] if report.target else []), *kinds, f", {mode}"]


def totals(report: ReportData, lines: Lines | None = None) -> tuple[list[str], list[str]]:
    """The figures of peft's print_trainable_parameters, and those that they leave out.

    lines: what the view lists, where it lists slots.
    """
    sums, notes = report.totals, report.snapshot.notes
    counts = [
        f"trainable params: {text.count(sums.trainable)}",
        f"all params: {text.count(sums.parameters)}",
        f"trainable%: {text.percent(sums.trainable, sums.parameters)}",
    ]
    more = []
    if sums.by_name is None:
        more.append("by name: unknown (not all names are listed)")
    elif sums.by_name != sums.parameters:
        more.append(f"by name: {text.count(sums.by_name)}")
    if sums.local is not None:
        is_quantized = any(oddity.kind == "quantized" for oddity in report.snapshot.oddities)
        more.append(f"{'as stored' if is_quantized else 'on this rank'}: {text.count(sums.local)}")
    if sums.effective_trainable != sums.trainable:
        more.append(f"effective trainable: {text.count(sums.effective_trainable)}")
    least = "at least " if any(note.kind in ("items", "depth") for note in notes) else ""
    counted = (
        ("buffers: ", sums.buffers),
        (f"hidden: {least}", sums.hidden),
        (f"attributes: {least}", sums.attributes),
    )
    more += [f"{label}{text.count(number)}" for label, number in counted if number]
    if sums.unknown:
        more.append(f"{text.plural(sums.unknown, 'tensor')} of unknown size not counted")
    # What is in a slot is counted as it is stored.
    if packed := sum(note.kind == "packed" and note.path not in report.slots for note in notes):
        more.append(f"{text.plural(packed, 'packed weight')} in C++ not counted")
    more.append(f"memory: {text.nbytes(sums.nbytes)}")
    if lines is not None and lines.wanted is not None:
        more.append("listed: {:,} of {}".format(*_listed(report, lines, lines.wanted)))
        more.append("figures and findings: the whole model")
    elif lines is not None and lines.left_out:
        more.append("empty slots not listed")
    return counts, more


def _listed(report: ReportData, lines: Lines, wanted: Collection[int]) -> tuple[int, str]:
    """(how many slots a view lists, of how many it could): empty ones count where it lists any."""
    tensors = report.snapshot.slot_columns.tensors
    lists_empty = any(line.record.status == "empty" for line in lines.shown)
    listed = sum(lists_empty or tensors[slot] >= 0 for slot in wanted)
    return listed, text.plural(sum(lists_empty or tensor >= 0 for tensor in tensors), "slot")


def values(lines: Iterable[Line], name: Literal["role", "dtype", "device"]) -> set[str]:
    """What some lines say of `role`, `dtype` or `device`; nothing for empty slots."""
    if name == "role":
        return set(map(role, lines))
    return {line.common(name) or "unknown" for line in lines if line.closed or line.record.status != "empty"}


def varied(lines: Sequence[Line]) -> list[str]:
    """Of `dtype` and `device` those that are not the same in all lines."""
    return [name for name in _COMMON if len(values(lines, name)) > 1]


def remarks(lines: Sequence[Line], columns: Collection[str], shown: Sequence[Line] | None = None) -> list[Pieces]:
    """What the columns that a view leaves out would say in every line, why some fates are unknown, and what the
    glyphs in its cells mean.

    columns: of the view. shown: what it lists, where that is not the lines themselves.
    """
    shown = lines if shown is None else shown
    found: list[Pieces] = []
    same = {name: met.pop() for name in _SAID_ONCE if name not in columns and len(met := values(lines, name)) == 1}
    if same:
        found.append(_said_of_all(lines, same))
    unknown = dict.fromkeys(line.record.unknown for line in lines)
    reasons = dict.fromkeys(
        reason for each in unknown for fate, reason in each if "fate" in columns or fate in columns
    )
    lacks_optimizer = any(reason == NO_OPTIMIZER for each in unknown for _, reason in each)
    reasons.pop(NO_OPTIMIZER, None)
    if "fate" in columns:
        found.append(_fate_legend(shown, lacks_optimizer=lacks_optimizer))
    elif lacks_optimizer and not set(FATES).isdisjoint(columns):
        found.append(["stepped is unknown without an optimizer (-O, optimizer=)"])
    found += [["?: ", Prose(reason)] for reason in list(reasons)[:_REASONS]]
    if "elements" in columns and any(line.is_counted for line in shown):
        found.append([COUNTED_ABOVE])
    of_sharing = {glyph[0]: glyph for line in reversed(shown) for glyph in reversed(line.glyphs.split())}
    codes = dict.fromkeys(code for line in shown for code in line_codes(line))
    for glyphs, where in ((sorted(of_sharing.values()), "sharing"), ([f"!{code}" for code in codes], "findings")):
        if glyphs:
            found.append(
                [Name(", ".join(glyphs[:_GLYPHS])), ", …" if len(glyphs) > _GLYPHS else "", f": see {where}"]
            )
    return found


def _said_of_all(lines: Sequence[Line], same: dict[Literal["role", "dtype", "device"], str]) -> Pieces:
    """`all parameters float32 on cpu`; of modules that each hold both, `float16 and float32 on cpu`.

    same: what all lines say.
    """
    where = joined([_met(lines, name) for name in _COMMON if name in same], " on ")
    if MIXED in same.values():
        return where
    what = f"all {_PLURALS.get(same['role'], same['role'])}" if "role" in same else "all"
    return [what, *([" " if "dtype" in same else " on "] if where else []), *where]


def _met(lines: Sequence[Line], name: Literal["dtype", "device"]) -> Pieces:
    """All dtypes, or devices, of some lines: `float16 and float32`."""
    *others, last = sorted({value for line in lines for value in line.values(name)} or {"unknown"})
    return [*joined([[Name(each)] for each in others]), *([" and "] if others else []), Name(last)]


def _fate_legend(lines: Sequence[Line], *, lacks_optimizer: bool) -> Pieces:
    """What the letters of the fates mean, and those of the other signs that stand in their places."""
    told = set(map(fates, lines))
    there = {letter for each in told for at, letter in enumerate(each) if not (lacks_optimizer and at == 1)}
    signs = [f"{sign} {word}" for sign, word in (("-", "not"), ("~", "some"), ("?", "unknown")) if sign in there]
    letters = FATE_LETTERS.replace("stepped", "stepped (? without -O)") if lacks_optimizer else FATE_LETTERS
    if any(len(each) > len(FATES) for each in told):
        letters += ", r reached by the loss"
    return [f"{letters}; {', '.join(signs)}" if signs else letters]


def row_name(row: Row) -> Pieces:
    """The path of a row, with the number of slots where they are several."""
    return [Name(row.path), f" ×{len(row.slots)}"] if len(row.slots) > 1 else [Name(row.path)]


def sharing(report: ReportData, rows: list[Row]) -> list[Point]:
    """Who shares memory with whom, numbered as the glyphs are."""
    groups = sharing_groups(report, rows)
    row_of = {slot: row for row in rows for slot in row.slots} if groups else {}
    tensors, stored = report.snapshot.slot_columns.tensors, report.snapshot.tensor_columns.storages
    found = []
    for number, (kind, records) in enumerate(groups, 1):
        met = {id(row): row for row in map(row_of.__getitem__, records[0])}
        storages = {stored[tensors[slot]] for slot in records[0]}
        # torch itself cannot know of these, nor can whoever saves the model.
        across = f" across {len(storages)} storages" if len(storages) > 1 else ""
        times = f" ×{len(records)}" if len(records) > 1 else ""
        label = [Name(f"{SHARING_GLYPHS[kind]}{number}"), f" {kind}{across}{times}: "]
        found.append(Point(label, list(map(row_name, met.values()))))
    return found


def disagreements(report: ReportData, rows: list[Row]) -> list[Point]:
    """Trainable slots in no group, and slots in several; nothing without an optimizer."""
    sets = (
        ("trainable, but in no group, so never stepped: ", report.not_stepped()),
        ("in more than one group: ", report.in_several_groups()),
    )
    return [Point([label], rows_of(report, rows, (slot.path for slot in slots))) for label, slots in sets if slots]


def rows_of(report: ReportData, rows: list[Row], paths: Iterable[str]) -> list[Pieces]:
    """Some slots as the rows they stand in."""
    wanted = set(report.slots.positions(paths))
    found = []
    for row in rows:
        inside = sum(slot in wanted for slot in row.slots)
        if inside:
            part = f" ({inside} of {len(row.slots)})"
            found.append(row_name(row) if inside == len(row.slots) else [Name(row.path), part])
    return found


def optimizer_title(optimizer: OptimizerRecord) -> Pieces:
    """Its name and its class; of one within another that of both."""
    name = [] if optimizer.name == "optimizer" else [" ", Name(optimizer.name)]
    inner = [Name(text.class_name(optimizer.inner[0])), " in "] if optimizer.inner else []
    return ["optimizer", *name, ": ", *inner, Name(text.class_name(optimizer.type))]


def optimizer_sums(report: ReportData) -> list[Pieces]:
    """`optimizer 0: AdamW, 2 groups, 3,151,360 elements`, of each; apart from them those that are frozen."""
    found: list[Pieces] = []
    for each in report.optimizers:
        frozen = sum(_frozen(report, each, each.groups))
        stepped = sum(group.numel for group in each.groups) - frozen
        what = f"{text.count(stepped)} elements" + (f" stepped, {text.count(frozen)} frozen" if frozen else "")
        found.append([*optimizer_title(each), f", {text.plural(len(each.groups), 'group')}, {what}"])
    return found


def _frozen(report: ReportData, optimizer: OptimizerRecord, groups: Sequence[GroupRecord]) -> list[int]:
    """Elements in each group that no step changes."""
    found = report.snapshot.frozen_in_groups
    return [found.get(Membership(optimizer.name, group.index), 0) for group in groups]


def group_figures(
    report: ReportData, optimizer: OptimizerRecord, groups: Sequence[GroupRecord]
) -> tuple[list[str], list[list[str]]]:
    """(headers, figures of some groups); what is frozen in them has a column where anything is."""
    frozen = _frozen(report, optimizer, groups)
    headers = ["group", "tensors", "elements", *(["frozen"] if any(frozen) else []), "of the model", "state"]
    figures = [
        [
            str(group.index),
            text.count(len(group.slots) + len(group.foreign)),
            text.count(group.numel),
            *([text.count(idle)] if any(frozen) else []),
            f"{text.percent(group.numel, report.totals.parameters)}%",
            text.nbytes(group.state_nbytes),
        ]
        for group, idle in zip(groups, frozen, strict=True)
    ]
    return headers, figures


def options(group: GroupRecord, *, without: Sequence[str] = ()) -> list[Pieces]:
    """`lr 0.001`, for each option; switches that are off go without saying."""
    return [
        [Name(f"{name} {text.option(value)}")]
        for name, value in group.options
        if name not in without and value is not False and value is not None
    ]


class Foreign(NamedTuple):
    """A tensor in an optimizer that the model does not have."""

    group: tuple[str, int]
    """The name of the optimizer and the index of the group."""
    name: Pieces
    shape: str
    dtype: str
    place: Name
    """`0[1][3]`: the optimizer, the group, the position in it."""
    replaced_by: tuple[Name, Name] | None
    """The slot that it seems to have been, and what tells; None where nothing does."""

    @property
    def what(self) -> Pieces:
        """`head.weight 3×4 float32`."""
        return [*self.name, *([" "] if self.name else []), Name(f"{self.shape} {self.dtype}")]

    @property
    def became(self) -> Pieces:
        """Where it went, to be added to a sentence."""
        if self.replaced_by is None:
            return []
        slot, evidence = self.replaced_by
        return ["; looks replaced by ", slot, " (by ", evidence, ")"]


def foreign(report: ReportData) -> Iterator[Foreign]:
    """Every tensor that is stepped and not in the model."""
    for optimizer in report.optimizers:
        for group in optimizer.groups:
            for record in group.foreign:
                yield Foreign(
                    (optimizer.name, group.index),
                    [Name(record.name)] if record.name else [],
                    text.shape(record.shape),
                    record.dtype or "no tensor",
                    Name(f"{optimizer.name}[{group.index}][{record.position}]"),
                    (Name(record.replaced_by), Name(record.evidence or "?"))
                    if record.replaced_by is not None
                    else None,
                )


def notes(report: ReportData) -> list[Pieces]:
    """What was not looked into, and why."""
    return [[Name(note.path) if note.path else "the root", ": ", Prose(note.text)] for note in report.snapshot.notes]
