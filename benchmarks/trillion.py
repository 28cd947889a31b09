"""`python -m benchmarks.trillion`: what looking at a trillion parameters takes, held against building the model."""

from __future__ import annotations

import gc
import pickle
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import torch

from benchmarks.models import trillion
from paramscope import Report, audit

T = TypeVar("T")
TURNS = 7
JOBS: dict[str, Callable[[Report], object]] = {
    "the table, `str(report)`": str,
    'the tree, `report.render("tree")`': lambda report: report.render("tree"),
    'the graph, `report.render("svg")`': lambda report: report.render("svg"),
    "the page, `report.to_html()`": lambda report: report.to_html(),
    "`report.cost`": lambda report: report.cost,
    '`report.plan("fsdp=64,tp=8")`': lambda report: report.plan("fsdp=64,tp=8"),
}


def used() -> float:
    """Seconds of a core, those of Graphviz included."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def timed(job: Callable[[], T]) -> tuple[T, float]:
    """What a job gives, and what it takes."""
    gc.collect()
    start = used()
    made = job()
    return made, used() - start


def turn() -> dict[str, float]:
    """The seconds of each job; the first is the build."""
    model, build = timed(trillion)
    optimizer = torch.optim.AdamW(model.parameters())
    report, looked = timed(lambda: audit(model, optimizer=optimizer))
    taken = {"the build": build, "`audit(model, optimizer=optimizer)`": looked}
    kept = pickle.dumps(report)
    for what, job in JOBS.items():
        # A copy has not told anything yet: no job pays less for the one before.
        copy = pickle.loads(kept)  # noqa: S301
        taken[what] = timed(partial(job, copy))[1]
    return taken


def main() -> None:
    """Prints a table: medians over turns, after one that imports all there is to import."""
    turn()
    turns = [turn() for _ in range(TURNS)]
    print("| what | times the build, in CPU time |\n| --- | ---: |")
    for what in list(turns[0])[1:]:
        ratios = sorted(each[what] / each["the build"] for each in turns)
        print(f"| {what} | {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |")
    print(f"\nThe build: {statistics.median(each['the build'] for each in turns):.2f} s.")


if __name__ == "__main__":
    main()
