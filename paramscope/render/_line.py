"""One line of a view: slots that fold to one row, or all that a module holds, summed up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

from paramscope.analysis.fold import Node
from paramscope.report.data import ReportData
from paramscope.snapshot import SlotRecord, Status

PARAMETERS: tuple[Status, ...] = ("trainable", "frozen")
"""Statuses of registered parameters."""
LEARNING: tuple[Status, ...] = (*PARAMETERS, "hidden")
"""Statuses of parameters, registered or hidden."""
MIXED = "mixed"
"""What is said of a line whose slots differ."""
FATE_WORDS = {None: "?", True: "yes", False: "-"}
_Common = Literal["status", "dtype", "device"]
_COMMON: tuple[_Common, ...] = ("status", "dtype", "device")


class Line(NamedTuple):
    """One line of a view: slots that fold to one row, or all that lies below a closed module."""

    path: str
    """With ranges where several fold."""
    slots: list[int]
    """Positions in the snapshot."""
    record: SlotRecord
    """The first of them; where the line is closed, what its slots say is in `values`."""
    elements: int | None
    """Of the tensors that no line of the model before it holds; None where unknown."""
    nbytes: int
    """Of the same tensors."""
    is_counted: bool
    """Whether all its tensors were counted in lines before; `elements` counts them again then."""
    glyphs: str
    """Of its sharing, ` =1 ~2`, numbered as the sharing is listed."""
    codes: tuple[str, ...]
    """Of findings that name any of its slots; of a closed module, also of those that name what lies in it."""
    codes_above: tuple[str, ...]
    """Of findings that name a module, no root, that holds every one of its slots."""
    closed: Closed | None
    """What a closed module sums up; None for a row of slots."""

    def common(self, name: _Common) -> str:
        """What holds of all its slots; MIXED where they differ, nothing where they have none."""
        if not self.closed:  # as most lines are
            return getattr(self.record, name) or ""
        met = self.closed.values[name]
        return MIXED if len(met) > 1 else next(iter(met), "")

    def values(self, name: _Common) -> frozenset[str]:
        """What its slots say; nothing where they say none."""
        if self.closed:
            return self.closed.values[name]
        value = getattr(self.record, name)
        return frozenset([value]) if value else frozenset()


class Closed(NamedTuple):
    """What a module, or several alike, hold in all. Closed or open, a module counts the same."""

    type: str
    """Qualified name of its class."""
    modules: list[int]
    """Positions of those that fold to one."""
    slots: Counter[Status]
    """How many of each status, but for empty ones."""
    new: Counter[Status]
    """Elements of each status, of tensors that no line before holds."""
    again: Counter[Status]
    """The same of those that lines before hold."""
    values: dict[_Common, frozenset[str]]
    """What its slots say of `status`; of `dtype` and `device` its parameters, or all else where there are none."""
    fates: tuple[str, ...]
    """For each of `told_fates` of the same: `yes`, `-`, `?`, or `some`."""

    @property
    def learns(self) -> bool:
        """Whether it holds parameters, registered or hidden."""
        return any(self.slots[status] for status in LEARNING)

    @property
    def has_parameters(self) -> bool:
        """Whether it holds registered parameters, new or not."""
        return any(self.slots[status] for status in PARAMETERS)

    @property
    def is_of_buffers(self) -> bool:
        """Whether it holds buffers and nothing else."""
        return set(self.slots) == {"buffer"}


def summed(report: ReportData, node: Node, inside: Sequence[Line], codes: tuple[str, ...]) -> Line:
    """One line for a module, or for several alike, of the lines in it: its elements are those of its registered
    parameters; where it has none, of all but its buffers; of these where it has nothing else.

    codes: of findings that name anything in it.
    """
    inside = [line for line in inside if line.closed or line.record.status != "empty"] or inside
    held = [line.closed or _alone(line) for line in inside]
    told = [each for each in held if each.learns] or held
    slots: Counter[Status] = Counter()
    new: Counter[Status] = Counter()
    again: Counter[Status] = Counter()
    for each in held:
        slots.update(each.slots)
        new.update(each.new)
        again.update(each.again)
    said = {
        name: frozenset[str]().union(*(each.values[name] for each in (held if name == "status" else told)))
        for name in _COMMON
    }
    fates = tuple(_same(values) for values in zip(*(each.fates for each in told), strict=True))
    closed = Closed(report.modules.at(node.modules[0]).type, node.modules, slots, new, again, said, fates)
    # What is new here; of a module that holds nothing new, what it holds.
    is_counted = all(line.is_counted for line in inside)
    nbytes = sum(line.nbytes for line in inside if is_counted or not line.is_counted)
    others = [status for status in slots if status not in (*PARAMETERS, "buffer")]
    counted = PARAMETERS if closed.has_parameters else others or ["buffer"]
    elements = sum((again if is_counted else new)[status] for status in counted)
    glyphs = "".join(dict.fromkeys(f" {glyph}" for line in inside for glyph in line.glyphs.split()))
    positions = [slot for line in inside for slot in line.slots]
    return Line(node.path, positions, inside[0].record, elements, nbytes, is_counted, glyphs, codes, (), closed)


def told_fates(record: SlotRecord) -> tuple[bool | None, ...]:
    """The four fates; and, where something was run, whether the loss reached it."""
    fates = record.gradient, record.stepped, record.saved, record.moved
    return fates if record.changed_by is None else (*fates, bool(record.reached))


def _alone(line: Line) -> Closed:
    """A line of slots, as one of those that are added up."""
    record, elements = line.record, Counter({line.record.status: line.elements or 0})
    return Closed(
        "",
        [],
        Counter({record.status: len(line.slots)}),
        Counter() if line.is_counted else elements,
        elements if line.is_counted else Counter(),
        {name: line.values(name) for name in _COMMON},
        tuple(map(FATE_WORDS.__getitem__, told_fates(record))),
    )


def _same(fates: Sequence[str]) -> str:
    """What all say of a fate; `some` where they differ."""
    found = set(fates)
    return found.pop() if len(found) == 1 else "some"
