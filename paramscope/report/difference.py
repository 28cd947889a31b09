"""What a diff holds: what is no longer as it was between two reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, NoReturn

from paramscope.analysis.changes import ChangeKind, Changes, changes_between, state_of
from paramscope.analysis.renames import plain_path
from paramscope.collector import paused_collector
from paramscope.report.data import ReportData
from paramscope.report.finding import Finding
from paramscope.snapshot import GroupRecord

_SAME = 0.1
"""Share of the slots of the larger side that is found again at least, where two reports are of one model."""
_MANY = 20
"""Slots of a model that is not told to be another one because few of them are found again."""


class GroupChange(NamedTuple):
    """What changed of one param group of an optimizer."""

    optimizer: str
    """The optimizer's name."""
    group: int
    before: str | None
    """Qualified class name of the optimizer; None where the group was not there."""
    after: str | None
    options: tuple[tuple[str, Any, Any], ...]
    """(name, before, after) of hyperparameters; None for one that is not there."""
    joined: tuple[str, ...]
    """Slots, as they are called afterwards, each by the first path of its tensor."""
    left: tuple[str, ...]
    foreign: tuple[int, int]
    """How many of its members the model does not have: before and after."""


class DiffData:
    """What is no longer as it was between two reports; true where there is such. Plain values that do not change."""

    before: ReportData
    after: ReportData

    def __init__(self, before: ReportData, after: ReportData) -> None:
        self.__dict__.update(before=before, after=after)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Diff does not change: {name!r} cannot be set")

    def __eq__(self, other: object) -> bool:
        return (
            (self.before, self.after) == (other.before, other.after)
            if isinstance(other, DiffData)
            else NotImplemented
        )

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # as large as two models

    def __bool__(self) -> bool:
        return bool(self.changes.changes or self.groups or self.findings_new or self.findings_gone)

    def __repr__(self) -> str:
        return f"<Diff of {len(self.changes.changes)} changes>"

    @cached_property
    def changes(self) -> Changes:
        """Every change, slot by slot, with which slot of one side is which of the other."""
        before, after = self.before.snapshot, self.after.snapshot
        if before is after or before == after:
            state = state_of(after, fully=True)
            return Changes(state, state, {path: path for path in state.slots}, ())
        with paused_collector():
            return changes_between(state_of(before, fully=True), state_of(after, fully=True))

    @property
    def is_of_one_model(self) -> bool:
        """False where next to nothing of one side is found again on the other."""
        found = self.changes
        larger = max(len(found.before.slots), len(found.after.slots))
        return larger < _MANY or len(found.names) >= _SAME * larger

    def _paths(self, kind: ChangeKind) -> tuple[str, ...]:
        return tuple(paths[0] for paths in self._groups(kind))

    @property
    def added(self) -> tuple[str, ...]:
        """Slots that were not there."""
        return self._paths("added")

    @property
    def removed(self) -> tuple[str, ...]:
        """Slots that are no longer there, as they were called."""
        return self._paths("removed")

    @property
    def renamed(self) -> tuple[tuple[str, str], ...]:
        """(old, new) paths of slots that are found again under another one."""
        return tuple((old, new) for old, new in self._groups("renamed"))

    @property
    def reshaped(self) -> tuple[str, ...]:
        """Slots of another shape. This and what follows: as they are called afterwards."""
        return self._paths("reshaped")

    @property
    def retyped(self) -> tuple[str, ...]:
        """Slots of another dtype, or that are a buffer now and were a parameter."""
        return tuple(dict.fromkeys(self._paths("retyped")))

    @property
    def moved(self) -> tuple[str, ...]:
        """Slots on another device."""
        return self._paths("moved")

    @property
    def froze(self) -> tuple[str, ...]:
        """Parameters that were trainable and are frozen."""
        return self._paths("froze")

    @property
    def thawed(self) -> tuple[str, ...]:
        """Parameters that were frozen and are trainable."""
        return self._paths("thawed")

    @property
    def hidden(self) -> tuple[str, ...]:
        """Slots that were registered and are not."""
        return self._paths("hidden")

    @property
    def registered(self) -> tuple[str, ...]:
        """Slots that were not registered and are."""
        return self._paths("registered")

    @property
    def tied(self) -> tuple[tuple[str, ...], ...]:
        """Slots that hold one tensor and did not."""
        return self._groups("tied")

    @property
    def untied(self) -> tuple[tuple[str, ...], ...]:
        """Slots that held one tensor and do not."""
        return self._groups("untied")

    def _groups(self, kind: ChangeKind) -> tuple[tuple[str, ...], ...]:
        return tuple(change.paths for change in self.changes.changes if change.kind == kind)

    @cached_property
    def totals(self) -> dict[str, tuple[int | None, int | None]]:
        """(before, after) of the totals that differ, by their names in `report.totals`."""
        pairs = zip(self.before.totals._asdict().items(), self.after.totals, strict=True)
        return {name: (was, now) for (name, was), now in pairs if was != now}

    @cached_property
    def groups(self) -> tuple[GroupChange, ...]:
        """The param groups of optimizers of which anything changed."""
        return tuple(_group_changes(self.before, self.after, self.changes.names))

    @property
    def findings_new(self) -> tuple[Finding, ...]:
        """Findings of the second report that the first has not, of the same rule at the same places; none of a rule
        that one of the two skipped."""
        return self._findings[0]

    @property
    def findings_gone(self) -> tuple[Finding, ...]:
        """Findings of the first report that the second has not; none of a rule that one of the two skipped."""
        return self._findings[1]

    @cached_property
    def _findings(self) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
        names = self.changes.names
        # Where no optimizer was given nothing is found of one, and nothing is gone.
        skipped = {each.code for side in (self.before, self.after) for each in side.skipped}
        was = {_place(each, names): each for each in self.before.findings if each.code not in skipped}
        now = {_place(each, {}): each for each in self.after.findings if each.code not in skipped}
        return (
            tuple(each for key, each in now.items() if key not in was),
            tuple(each for key, each in was.items() if key not in now),
        )


def _place(finding: Finding, names: Mapping[str, str]) -> tuple[str, ...]:
    # What wrappers put in front is also in front of modules, which have no slot of their own.
    return (finding.code, *sorted(plain_path(f"{names.get(path, path)}.") for path in finding.paths))


def _group_changes(before: ReportData, after: ReportData, names: Mapping[str, str]) -> Iterator[GroupChange]:
    was, now = _groups_of(before), _groups_of(after)
    firsts = _first_paths(after)
    for key in dict.fromkeys([*was, *now]):
        (old_type, old), (new_type, new) = was.get(key, (None, None)), now.get(key, (None, None))
        there = [names.get(path, path) for path in old.slots] if old else []
        there = [firsts.get(path, path) for path in there]
        here = list(new.slots) if new else []
        options = tuple(_options(old, new)) if old and new else ()
        was_in, is_in = set(there), set(here)
        joined = tuple(path for path in here if path not in was_in)
        left = tuple(path for path in there if path not in is_in)
        foreign = len(old.foreign) if old else 0, len(new.foreign) if new else 0
        if old_type != new_type or options or joined or left or foreign[0] != foreign[1]:
            yield GroupChange(*key, old_type, new_type, options, joined, left, foreign)


def _groups_of(report: ReportData) -> dict[tuple[str, int], tuple[str | None, GroupRecord | None]]:
    return {(each.name, group.index): (each.type, group) for each in report.optimizers for group in each.groups}


def _first_paths(report: ReportData) -> dict[str, str]:
    """For each slot of a tie the path by which groups name its tensor."""
    return {
        path: min(record.slots, key=report.slots.position)
        for record in report.sharing
        if record.kind == "tied"
        for path in record.slots
    }


def _options(old: GroupRecord, new: GroupRecord) -> Iterator[tuple[str, Any, Any]]:
    was, now = dict(old.options), dict(new.options)
    for name in dict.fromkeys([*was, *now]):
        if was.get(name) != now.get(name):
            yield name, was.get(name), now.get(name)
