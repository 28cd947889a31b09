"""Seconds that whole jobs on a model of 100,000 slots take: those that somebody waits for."""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.models import moe
from benchmarks.startup import run_installed
from paramscope import audit

HALF = 334
"""Experts a layer with which the MoE has 100,200 slots, half of them empty."""
CHECK = """
import sys
from paramscope.cli import main
sys.argv = ["paramscope", "check", sys.argv[1], "--fail-on", "never"]
try:
    main()
finally:
    sys.stderr.write("torch:%s" % ("torch" in sys.modules))
"""


class Job(NamedTuple):
    """One job and what it took."""

    what: str
    limit: float
    """Seconds within which it has to be done."""
    seconds: float
    """Median of the runs."""
    spread: tuple[float, float]
    """Least and greatest of them."""
    trouble: str = ""
    """Why the figure is worth nothing."""


def jobs(repeats: int) -> list[Job]:
    """Every job, each run so many times."""
    model = moe(HALF)
    saved = audit(model)
    slots = f"{len(saved.slots):,} slots"
    found = [
        _job(f"an MoE of {slots}, half of them empty, to the folded table", 2.0, lambda: str(audit(model)), repeats),
        _job("the graph of the same, before Graphviz", 1.0, lambda: audit_graph(model), repeats),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        path.write_text(saved.to_json(), encoding="utf-8")
        _check(path)  # also writes the bytecode
        trouble: list[str] = []
        what = f"`paramscope check` on a saved report of {slots}"
        found.append(_job(what, 2.0, lambda: trouble.append(_check(path)), repeats))
        return [*found[:2], found[2]._replace(trouble=next(filter(None, trouble), ""))]


def audit_graph(model: object) -> float:
    """Seconds that the graph of a new report takes: what one report has folded it keeps."""
    report = audit(model)
    start = time.perf_counter()
    report.render("dot")
    return time.perf_counter() - start


def _job(what: str, limit: float, work: Callable[[], object], repeats: int) -> Job:
    times = []
    for _ in range(repeats):
        gc.collect()
        start = time.perf_counter()
        taken = work()
        times.append(taken if isinstance(taken, float) else time.perf_counter() - start)
    return Job(what, limit, statistics.median(times), (min(times), max(times)))


def _check(path: Path) -> str:
    """Checks a saved report as a user would; what went wrong, or nothing."""
    done = run_installed(CHECK, str(path))
    if done.returncode:
        return f"exit code {done.returncode}"
    return "imports torch" if done.stderr.endswith("torch:True") else ""
