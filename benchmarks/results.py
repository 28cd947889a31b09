"""What one run of the benchmarks found, and the run itself."""

from __future__ import annotations

import gc
import os
import platform
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch

from benchmarks.growth import exponent
from benchmarks.measure import Cost, Limits, Tool, measure
from benchmarks.memory import Kept, kept_memory
from benchmarks.models import (
    GPT2_LORA,
    MOE,
    SUBJECTS,
    TREE_SIZES,
    VIEW_COUNTS,
    Subject,
    module_count,
    tensor_count,
    tree_subject,
    views_subject,
)
from benchmarks.ours import BASELINE, OURS
from benchmarks.pages import page_jobs
from benchmarks.peers import PEERS, PEFT_PEERS
from benchmarks.ranks import rank_jobs
from benchmarks.runs import run_jobs
from benchmarks.seconds import Job, jobs
from benchmarks.startup import Startup, startup_costs

PEER_TREE_LIMIT = 10_000
"""Modules in the largest tree that the peers are shown."""
LARGE_TREE = 1_000_000
LARGE_REPEATS = 3
"""Turns on a tree of that size or more: one turn takes half a minute."""
LARGE_SECONDS = 120.0
"""How long a trial on such a tree may take; no peer is shown one."""


class Effort(NamedTuple):
    """How much is measured."""

    is_quick: bool
    repeats: int
    small_repeats: int
    """Turns on small models, whose short turns a busy machine disturbs more."""
    startup_repeats: int
    job_repeats: int
    once_seconds: float
    stop_seconds: float
    largest: int | None = None
    """Modules of the largest tree; None for all of them."""

    def limits(self, subject: Subject) -> Limits:
        """How one model is measured."""
        repeats = self.small_repeats if subject.is_small else self.repeats
        return Limits(repeats, self.once_seconds, self.stop_seconds)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """The models for the cost table."""
        return tuple(subject for subject in SUBJECTS if subject.is_small or not self.is_quick)

    @property
    def trees(self) -> tuple[tuple[int, Subject], ...]:
        """The trees for the growth table, by size."""
        sizes = (size for size in TREE_SIZES if self.largest is None or size <= self.largest)
        return self._of_effort((size, tree_subject(size)) for size in sizes)

    @property
    def views(self) -> tuple[tuple[int, Subject], ...]:
        """The models of views of one storage for the growth table, by their number."""
        return self._of_effort((count, views_subject(count)) for count in VIEW_COUNTS)

    def _of_effort(self, sized: Iterable[tuple[int, Subject]]) -> tuple[tuple[int, Subject], ...]:
        return tuple((size, subject) for size, subject in sized if subject.is_small or not self.is_quick)


FULL = Effort(
    is_quick=False, repeats=7, small_repeats=15, startup_repeats=9, job_repeats=5, once_seconds=4, stop_seconds=30
)
QUICK = Effort(
    is_quick=True, repeats=3, small_repeats=5, startup_repeats=3, job_repeats=1, once_seconds=2, stop_seconds=10
)


class Measured(NamedTuple):
    """One model with the costs of every tool on it."""

    subject: Subject
    modules: int
    tensors: int
    costs: dict[str, Cost]


class Results(NamedTuple):
    """Everything that the tables show."""

    effort: Effort
    machine: str
    """Versions and the number of cores."""
    models: tuple[Measured, ...]
    trees: dict[int, Measured]
    """By number of modules."""
    views: dict[int, Measured]
    """By number of views of one storage."""
    kept: dict[str, Kept]
    """By model."""
    startups: tuple[Startup, ...]
    jobs: tuple[Job, ...]
    minutes: float

    def exponent(self, tool: str) -> float | None:
        """How the cost of a tool grows with the trees."""
        return _exponent(self.trees, tool)

    def exponent_of_views(self, tool: str) -> float | None:
        """How it grows with the number of views of one storage."""
        return _exponent(self.views, tool)


def _exponent(series: Mapping[int, Measured], tool: str) -> float | None:
    seconds = {size: each.costs[tool].seconds for size, each in series.items() if tool in each.costs}
    return exponent({size: cost for size, cost in seconds.items() if cost})


def run(effort: Effort) -> Results:
    """Measures everything, telling on stderr how far it is."""
    start = time.perf_counter()
    startups = tuple(startup_costs(effort.startup_repeats))
    models: list[Measured] = []
    kept: dict[str, Kept] = {}
    for subject in effort.subjects:
        tools = (*OURS, *PEERS, *PEFT_PEERS) if subject is GPT2_LORA else (*OURS, *PEERS)
        measured, memory = _measured(subject, tools, effort.limits(subject), keeps_memory=subject is MOE)
        models.append(measured)
        kept |= memory
    trees = {}
    for size, subject in effort.trees:
        tools = (*OURS, *PEERS) if size <= PEER_TREE_LIMIT else OURS
        limits = effort.limits(subject)
        if size >= LARGE_TREE:
            limits = Limits(LARGE_REPEATS, LARGE_SECONDS, LARGE_SECONDS)
        trees[size], memory = _measured(subject, tools, limits, keeps_memory=size < LARGE_TREE)
        kept |= memory
    views = {}
    for count, subject in effort.views:
        views[count], _ = _measured(subject, OURS, effort.limits(subject), keeps_memory=False)
    print("jobs …", file=sys.stderr, flush=True)
    waited = (
        *jobs(effort.job_repeats),
        *page_jobs(effort.job_repeats),
        *rank_jobs(effort.job_repeats, is_quick=effort.is_quick),
        *run_jobs(effort.job_repeats, is_quick=effort.is_quick),
    )
    minutes = (time.perf_counter() - start) / 60
    return Results(effort, machine(), tuple(models), trees, views, kept, startups, waited, minutes)


def machine() -> str:
    """What the figures depend on, without a word of whose machine it is. Seconds and microseconds of two runs can be
    compared where the loop takes as long; ratios always."""
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    return f"{versions}, {os.cpu_count()} CPU cores, on which a loop of 20 million additions takes {pace():.1f} s"


def pace() -> float:
    """Seconds that a loop of Python takes."""
    start, total = time.perf_counter(), 0
    for number in range(20_000_000):
        total += number
    return time.perf_counter() - start


def _measured(
    subject: Subject, tools: Sequence[Tool], limits: Limits, *, keeps_memory: bool
) -> tuple[Measured, dict[str, Kept]]:
    print(f"{subject.name} …", file=sys.stderr, flush=True)
    model = subject.build()
    costs = measure(model, BASELINE, tools, limits)
    kept = {subject.name: kept_memory(model)} if keeps_memory else {}
    measured = Measured(subject, module_count(model), tensor_count(model), costs)
    del model
    gc.collect()
    return measured, kept
