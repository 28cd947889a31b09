"""Seconds that whole jobs on models of 100,000 and 200,000 slots take: those that somebody waits for."""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from torch import nn

from benchmarks.models import moe
from benchmarks.startup import run
from paramscope import Report, audit, diff

HALF = 334
"""Experts a layer with which the MoE has 100,200 slots, half of them empty."""
FORMATS = ("table", "tree", "summary", "text", "markdown", "html", "csv", "dot", "mermaid")
"""Text formats, each for the whole model; the table unfolded, besides."""


class Job(NamedTuple):
    """One job and what it took."""

    what: str
    unit: str
    limit: float
    measured: float
    """Median of the runs."""
    spread: tuple[float, float]
    """Least and greatest of them."""
    trouble: str = ""
    """Why the figure is worth nothing."""

    @property
    def is_hit(self) -> bool:
        """Whether the median keeps within the limit."""
        return not self.trouble and self.measured <= self.limit


def jobs(repeats: int) -> list[Job]:
    """Every job, each run so many times."""
    model = moe(HALF)
    saved = audit(model)
    slots = len(saved.slots)
    text = saved.to_json()

    def drawn(format: str, **options: object) -> Callable[[], object]:
        # What one report has folded it keeps, and so each run has a new one.
        return lambda: _timed(lambda report: report.render(format, **options), audit(model))

    found = [
        *(_job(f"{name} of {slots:,} slots", "s", 2.0, drawn(name), repeats) for name in FORMATS),
        _job(f"the unfolded table of {slots:,} slots", "µs a line", 12.0, _per_line(model), repeats),
        _job(f"csv of {slots:,} slots", "µs a slot", 15.0, _per_slot(model, slots), repeats),
        _job(f"JSON of {slots:,} slots, written", "s", 2.0, saved.to_json, repeats),
        _job(f"JSON of {slots:,} slots, read", "s", 2.0, lambda: Report.from_json(text), repeats),
        _peak("JSON written, at most held", saved.to_json, len(text)),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        path.write_text(text, encoding="utf-8")
        arguments = ("-m", "paramscope", "check", str(path), "--fail-on", "never")
        run(arguments)  # also writes the bytecode
        codes: list[int] = []
        check = _job(
            f"`paramscope check` of that file, with all of {slots:,} slots",
            "s",
            2.0,
            lambda: codes.append(run(arguments).returncode),
            repeats,
        )
        found.append(check._replace(trouble=f"exit code {max(codes)}" if any(codes) else ""))
    large = audit(moe())
    what = f"the unfolded networkx graph of {len(large.slots):,} slots"
    found.append(_job(what, "s", 5.0, lambda: large.to_networkx(fold=False), min(repeats, 3)))
    again = Report.from_json(text)
    what = f"`diff` of two equal reports, {slots:,} slots"
    found.append(_job(what, "s", 0.2, lambda: bool(diff(saved, again)), repeats))
    wrapped = audit(nn.DataParallel(model.requires_grad_(requires_grad=False)))
    what = f"`diff` of two audits, {slots:,} slots renamed and frozen, printed"
    found.append(_job(what, "s", 1.0, lambda: str(diff(saved, wrapped)), repeats))
    return found


def _timed(work: Callable[[Report], object], report: Report) -> float:
    start = time.perf_counter()
    work(report)
    return time.perf_counter() - start


def _per_line(model: object) -> Callable[[], float]:
    def work() -> float:
        report, lines = audit(model), 0

        def draw(report: Report) -> None:
            nonlocal lines
            lines = str(report.render("table", fold=False)).count("\n")

        return _timed(draw, report) * 1e6 / lines

    return work


def _per_slot(model: object, slots: int) -> Callable[[], float]:
    return lambda: _timed(lambda report: report.render("csv"), audit(model)) * 1e6 / slots


def _peak(what: str, write: Callable[[], str], length: int) -> Job:
    """The most that is held on the way, in texts."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        write()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    ratio = (peak - before) / length
    return Job(what, "× the text", 1.5, ratio, (ratio, ratio))


def _job(what: str, unit: str, limit: float, work: Callable[[], object], repeats: int) -> Job:
    """What `work` gives where that is a figure, else the seconds that it takes."""
    times = []
    for _ in range(repeats):
        gc.collect()
        start = time.perf_counter()
        taken = work()
        times.append(taken if isinstance(taken, float) else time.perf_counter() - start)
    return Job(what, unit, limit, statistics.median(times), (min(times), max(times)))
