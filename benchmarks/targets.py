"""The targets, each with the figure it is held against: what a user feels first, the core as a ratio last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from benchmarks.ours import AUDIT, BASELINE, CAPTURE, JSON, MARK, TABLE
from benchmarks.results import Measured, Results

MICROSECONDS = 10.0
MILLISECONDS = 3.0
BESIDE, BESIDE_LARGE = 0.6, 0.5
"""Of torchinfo's and Lightning's time: on any model, and from 500 tensors on."""
LARGE = 500
GROWTH = 0.02
SLOT_LIMIT = 160
CORE = {CAPTURE.name: (3.5, 2.0), AUDIT.name: (6.0, 3.0), MARK.name: (1.0, 1.0)}
"""In B: on models of fewer than 500 tensors, and from 1,000 modules on."""
_SUMMARIES = ("torchinfo", "Lightning ModelSummary")


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
    for each in results.startups:
        if each.limit is None:
            continue
        figure = each.trouble if each.measured is None else f"{figured(each.measured)}{_because(each.trouble)}"
        is_hit = False if each.trouble and each.measured is not None else each.is_hit
        yield Verdict(each.what, f"≤ {each.limit:g} {each.unit}", figure, is_hit)
    judged = [each for each in (*results.models, *results.trees.values()) if each.subject.is_judged]
    warm = [(m.costs[AUDIT.name].seconds, m) for m in judged if AUDIT.name in m.costs]
    a_tensor = [(seconds * 1e6 / m.tensors, m) for seconds, m in warm]
    yield _worst("`audit`, warm", "µs a tensor", MICROSECONDS, a_tensor)
    known = [(seconds * 1e3, m) for seconds, m in warm if m.subject.name in ("GPT-2", "ResNet-50")]
    yield _worst("`audit`, warm, GPT-2 and ResNet-50", "ms", MILLISECONDS, known)
    yield from _beside(judged)
    yield from _growth(results)
    for job in results.jobs:
        yield Verdict(job.what, f"≤ {job.limit:g} {job.unit}", job.trouble or figured(job.measured), job.is_hit)
    name, kept = max(results.kept.items(), key=lambda pair: pair[1].per_slot)
    measured = f"{kept.per_slot:,.0f} ({name})"
    yield Verdict("kept by a Snapshot", f"≤ {SLOT_LIMIT} bytes a slot", measured, kept.per_slot <= SLOT_LIMIT)
    for tool, (few, many) in CORE.items():
        ratios = [(m.costs[tool].ratio, m) for m in judged if tool in m.costs and m.costs[tool].ratios]
        yield _worst(
            f"`{tool}`, below {LARGE} tensors", "B", few, [each for each in ratios if each[1].tensors < LARGE]
        )
        large = [each for each in ratios if each[1].modules >= 1_000]
        yield _worst(f"`{tool}`, from 1,000 modules on", "B", many, large)


def _beside(judged: Iterable[Measured]) -> Iterator[Verdict]:
    """The table beside what other tools print."""
    for is_large, limit in ((False, BESIDE), (True, BESIDE_LARGE)):
        found = [
            (m.costs[TABLE.name].ratio / m.costs[peer].ratio, m)
            for m in judged
            for peer in _SUMMARIES
            if (m.tensors >= LARGE) is is_large
            and all(name in m.costs and m.costs[name].ratios for name in (TABLE.name, peer))
        ]
        size = f"from {LARGE} tensors on" if is_large else f"below {LARGE} tensors"
        yield _worst(f"`str(audit(m))`, {size}", "× torchinfo and Lightning", limit, found)


def _growth(results: Results) -> Iterator[Verdict]:
    largest = max(results.trees)
    for tool in (CAPTURE, AUDIT, JSON):
        grown, base = results.exponent(tool.name), results.exponent(BASELINE.name)
        yield Verdict(
            f"growth of {tool.what} to {largest:,} modules",
            f"exponent of B + {GROWTH:g}",
            "too few sizes" if grown is None or base is None else f"{grown:.3f} (B: {base:.3f})",
            None if grown is None or base is None else grown <= base + GROWTH,
        )


def _worst(what: str, unit: str, limit: float, every: list[tuple[float, Measured]]) -> Verdict:
    if not every:
        return Verdict(what, f"≤ {limit:g} {unit}", "no such model was measured", None)
    worst, where = max(every, key=lambda pair: pair[0])
    text = f"{figured(worst)} at worst ({where.subject.name})"
    if worst > limit:
        text += f"; {sum(figure <= limit for figure, _ in every)} of {len(every)} hit"
    return Verdict(what, f"≤ {limit:g} {unit}", text, worst <= limit)


def figured(value: float) -> str:
    """A figure with as many digits as it is worth."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _because(trouble: str) -> str:
    return f"; {trouble}" if trouble else ""
