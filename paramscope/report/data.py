"""What a report holds: a snapshot with its findings, the totals, and selections of slots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, ClassVar, NoReturn, TypeVar

from paramscope import text
from paramscope.analysis.totals import Totals, count_totals
from paramscope.errors import FindingsError, GlobError
from paramscope.glob import compile_glob, missed, parts_without
from paramscope.report.finding import Finding, Severity, Skipped
from paramscope.snapshot import (
    ModuleRecords,
    OptimizerRecord,
    RankRecord,
    Run,
    SharingRecord,
    SlotRecord,
    SlotRecords,
    Snapshot,
)

Same = TypeVar("Same", bound="ReportData")


class ReportData:
    """What was seen in a model and what is thought of it; plain values that do not change."""

    snapshot: Snapshot
    findings: tuple[Finding, ...]
    """Most severe first."""
    ignored: tuple[Finding, ...]
    """Findings that a declared exception covers."""
    skipped: tuple[Skipped, ...]
    """Rules that could not decide, and why."""
    target: str | None
    """What was audited, as the command line names it."""

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        findings: tuple[Finding, ...] = (),
        ignored: tuple[Finding, ...] = (),
        skipped: tuple[Skipped, ...] = (),
        target: str | None = None,
    ) -> None:
        self.__dict__.update(snapshot=snapshot, findings=findings, ignored=ignored, skipped=skipped, target=target)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Report does not change: {name!r} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Report does not change: {name!r} cannot be deleted")

    def _facts(self) -> tuple[Any, ...]:
        return self.snapshot, self.findings, self.ignored, self.skipped, self.target

    def __eq__(self, other: object) -> bool:
        return self._facts() == other._facts() if isinstance(other, ReportData) else NotImplemented

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # as large as the model: nobody means to hash it

    def having(self: Same, **facts: Any) -> Same:
        """The same report, but for what is given: `findings`, `ignored`, `skipped`, `target`."""
        mine = {name: getattr(self, name) for name in ("findings", "ignored", "skipped", "target")}
        return type(self)(self.snapshot, **{**mine, **facts})

    def __repr__(self) -> str:
        return f"<Report of {len(self.slots)} slots, {len(self.findings)} findings>"

    @cached_property
    def totals(self) -> Totals:
        """Counts of elements over the whole model."""
        return count_totals(self.snapshot)

    @property
    def slots(self) -> SlotRecords:
        """Slots by path: `report.slots["head.weight"].trainable`."""
        return self.snapshot.slots

    @property
    def modules(self) -> ModuleRecords:
        """Modules by path; the root is `""`."""
        return self.snapshot.modules

    @property
    def sharing(self) -> tuple[SharingRecord, ...]:
        """Every fact about slots that share memory."""
        return self.snapshot.sharing

    @property
    def optimizers(self) -> tuple[OptimizerRecord, ...]:
        """What each optimizer will step."""
        return self.snapshot.optimizers

    @property
    def run(self) -> Run | None:
        """What was run, and what it showed; None where nothing was."""
        return self.snapshot.run

    @property
    def ranks(self) -> tuple[RankRecord, ...]:
        """What each rank of the job holds; empty where no others were asked."""
        return self.snapshot.ranks.records if self.snapshot.ranks else ()

    def select(self, glob: str) -> tuple[SlotRecord, ...]:
        """Slots whose path matches a glob, or that of a module which holds them, at any depth: `*` crosses dots, `?`
        is one character, brackets hold an index or ranges of numbers, as views print them (`layers.[0-6,8-31]`), a
        comma stands between two globs.

        Empty where nothing matches. Raises GlobError for an empty glob.
        """
        matches = compile_glob(glob)
        slots = self.slots
        return tuple(slots.at(i) for i, path in enumerate(slots) if matches(path))

    def worst(self) -> Severity | None:
        """The highest severity among the findings."""
        return max((finding.severity for finding in self.findings), default=None)

    def raise_for_findings(self, least: Severity | str = "warning") -> None:
        """Raises FindingsError, with each finding in full, where there are any of this severity or above it.

        least: `error`, `warning` or `info`. Raises ValueError for another word.
        """
        wanted = Severity(least)
        found = [each for each in self.findings if each.severity >= wanted]
        if found:
            problem = f"{text.plural(len(found), 'finding')} of severity {wanted.value} or above"
            raise FindingsError(problem, detail="\n".join(map(str, found)))

    def not_stepped(self) -> tuple[SlotRecord, ...]:
        """Trainable parameters that no optimizer holds; empty where no optimizer was given."""
        if not self.optimizers:
            return ()
        return tuple(slot for slot in self._in_groups(lambda groups: groups == 0) if slot.trainable)

    def in_several_groups(self) -> tuple[SlotRecord, ...]:
        """Slots whose tensor stands more than once in the optimizers."""
        return tuple(self._in_groups(lambda groups: groups > 1))

    def _in_groups(self, is_wanted: Callable[[int], bool]) -> Iterator[SlotRecord]:
        """The slots that stand in so many groups as are wanted, told without building the records of the others."""
        snapshot = self.snapshot
        wanted = {number for number, each in enumerate(snapshot.interned.memberships) if is_wanted(len(each))}
        if wanted:
            of_tensor = snapshot.tensor_columns.memberships
            for slot, tensor in enumerate(snapshot.slot_columns.tensors):
                if tensor >= 0 and of_tensor[tensor] in wanted:
                    yield self.slots.at(slot)


def select_or_explain(report: ReportData, glob: str) -> tuple[SlotRecord, ...]:
    """As `Report.select`, but raises GlobError, with the nearest paths, where nothing matches, or nothing does what
    stands between two commas or at an end of a range."""
    for part in parts_without(glob, report.slots):
        of = "" if part == glob else f" of {glob!r}"
        raise GlobError(f"no slot matches {part!r}{of}", missed(part, [*report.modules, *report.slots]))
    return report.select(glob)
