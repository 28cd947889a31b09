"""The targets, each with the figure it is held against."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.measure import Cost
from benchmarks.ours import AUDIT, BASELINE, CAPTURE, TABLE
from benchmarks.results import Measured, Results

CAPTURE_LIMIT = 2.0
AUDIT_LIMIT = 4.0
TABLE_LIMIT = 1.0
EXPONENT_LIMIT = 1.05
SLOT_LIMIT = 1024


class Verdict(NamedTuple):
    """One target and whether it was hit."""

    what: str
    target: str
    measured: str
    is_hit: bool | None
    """None where it could not be measured; `measured` then says why."""

    @property
    def word(self) -> str:
        """Hit, missed, or neither."""
        return "not measured" if self.is_hit is None else "hit" if self.is_hit else "**missed**"


def verdicts(results: Results) -> Iterator[Verdict]:
    """Every target, judged by the worst of the models where there are several."""
    yield _worst(results, "`capture(model)`", CAPTURE_LIMIT, lambda costs: _ratio(costs, CAPTURE.name))
    yield _worst(results, "`audit(model)` and totals", AUDIT_LIMIT, lambda costs: _ratio(costs, AUDIT.name))
    yield _worst(results, "the folded table, on top of `audit`", TABLE_LIMIT, table_surplus)
    largest = max(results.trees)
    grown = results.exponent(CAPTURE.name)
    yield Verdict(
        f"growth of `capture` up to {largest:,} modules",
        f"exponent ≤ {EXPONENT_LIMIT}",
        "too few sizes" if grown is None else f"{grown:.3f} (B: {results.exponent(BASELINE.name) or 0:.3f})",
        None if grown is None else grown <= EXPONENT_LIMIT,
    )
    grown = results.exponent_of_views(CAPTURE.name)
    yield Verdict(
        f"growth of `capture` up to {max(results.views):,} views of one storage",
        f"exponent ≤ {EXPONENT_LIMIT}",
        "too few sizes" if grown is None else f"{grown:.3f} (B: {results.exponent_of_views(BASELINE.name) or 0:.3f})",
        None if grown is None else grown <= EXPONENT_LIMIT,
    )
    name, kept = max(results.kept.items(), key=lambda pair: pair[1].per_slot)
    yield Verdict(
        "memory a Snapshot keeps",
        f"≤ {SLOT_LIMIT:,} bytes a slot",
        f"{kept.per_slot:,.0f} bytes ({name})",
        kept.per_slot <= SLOT_LIMIT,
    )
    for startup in results.startups:
        program, taken = startup.program, startup.milliseconds
        torch_note = ", and imports torch" if startup.imports_torch else ", without torch"
        is_light = program.needs_torch or not startup.imports_torch
        yield Verdict(
            f"{program.what} over {'a bare interpreter' if program.base == 'pass' else 'the same without it'}",
            f"≤ {program.limit:g} ms" + ("" if program.needs_torch else ", without torch"),
            startup.trouble if taken is None else f"{taken:.0f} ms" + ("" if program.needs_torch else torch_note),
            None if taken is None else taken <= program.limit and is_light,
        )

    for job in results.jobs:
        yield Verdict(
            job.what,
            f"≤ {job.limit:g} s",
            job.trouble or f"{job.seconds:.2f} s",
            not job.trouble and job.seconds <= job.limit,
        )


def table_surplus(costs: dict[str, Cost]) -> float | None:
    """What the folded table costs more than `audit`, in B; the median over the turns."""
    table, audit = costs.get(TABLE.name), costs.get(AUDIT.name)
    if table is None or audit is None or table.trouble or audit.trouble:
        return None
    return statistics.median(t - a for t, a in zip(table.ratios, audit.ratios, strict=False))


def _ratio(costs: dict[str, Cost], tool: str) -> float | None:
    cost = costs.get(tool)
    return cost.ratio if cost is not None and cost.ratios else None


def _worst(results: Results, what: str, limit: float, figure: Callable[[dict[str, Cost]], float | None]) -> Verdict:
    every: list[tuple[float, Measured]] = []
    for measured in (*results.models, *results.trees.values()):
        if not measured.subject.is_judged:
            continue
        ratio = figure(measured.costs)
        if ratio is None:
            trouble = next((cost.trouble for cost in measured.costs.values() if cost.trouble), "")
            text = trouble or f"nothing to measure on {measured.subject.name}"
            return Verdict(what, f"≤ {limit:g} B", text, None)
        every.append((ratio, measured))
    worst, where = max(every, key=lambda pair: pair[0])
    middle = statistics.median(ratio for ratio, _ in every)
    hits = sum(ratio <= limit for ratio, _ in every)
    text = f"{worst:.2f} B at worst ({where.subject.name}), {middle:.2f} B in the middle"
    if worst > limit:
        text += f"; {hits} of {len(every)} models hit"
    return Verdict(what, f"≤ {limit:g} B", text, worst <= limit and not math.isnan(worst))
