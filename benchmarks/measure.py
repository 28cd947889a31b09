"""Several tools and one model → what each costs, run in turns: baseline, each tool, and from the start.

Only ratios within one turn are compared: a machine that is busy slows down both sides of a ratio.
"""

from __future__ import annotations

import gc
import signal
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from types import FrameType
from typing import NamedTuple

from torch import nn

Work = Callable[[], object]

ROUND_SECONDS = 0.03
"""Work that takes less is repeated until it takes about as long."""


class Tool(NamedTuple):
    """Something to measure."""

    name: str
    what: str
    """The call, as a reader would write it."""
    prepare: Callable[[nn.Module], Work]
    """Imports what is needed and returns the call itself; only that is timed."""


class Limits(NamedTuple):
    """How often, and for how long, things are measured."""

    repeats: int
    once_seconds: float
    """A tool whose trial takes longer is not repeated."""
    stop_seconds: float
    """A trial is stopped after this time."""


class Cost(NamedTuple):
    """What one tool cost on one model."""

    seconds: float
    """Median of one run."""
    ratios: tuple[float, ...]
    """To the baseline of the same turn; empty where nothing was measured."""
    trouble: str = ""
    """Why nothing was measured."""

    @property
    def ratio(self) -> float:
        """Median over the turns."""
        return statistics.median(self.ratios)


class Stopped(BaseException):
    """A trial ran out of time. Not an Exception, so that no tool swallows it."""


def measure(model: nn.Module, baseline: Tool, tools: Sequence[Tool], limits: Limits) -> dict[str, Cost]:
    """The cost of the baseline and of each tool, by name, on one model."""
    with quiet():
        base = baseline.prepare(model)
        base_trial = run_seconds(base, 1)
        works: dict[str, Work] = {}
        trials: dict[str, float] = {baseline.name: base_trial}
        costs: dict[str, Cost] = {}
        for tool in tools:
            work, seconds, trouble = trial(tool, model, limits.stop_seconds)
            if work is None:
                costs[tool.name] = Cost(0.0, (), trouble)
            elif seconds > limits.once_seconds:
                costs[tool.name] = Cost(seconds, (seconds / run_seconds(base, 1),))
            else:
                works[tool.name], trials[tool.name] = work, seconds
        return costs | take_turns(baseline.name, {baseline.name: base, **works}, trials, limits.repeats)


def trial(tool: Tool, model: nn.Module, stop_seconds: float) -> tuple[Work | None, float, str]:
    """(the call, seconds of its first run, "") of one tool, or (None, 0, what went wrong)."""
    try:
        work = tool.prepare(model)
        with deadline(stop_seconds):
            return work, run_seconds(work, 1), ""
    except Stopped:
        return None, 0.0, f"stopped after {stop_seconds:g} s"
    except Exception as error:  # noqa: BLE001  # a tool may raise anything; the table says what
        return None, 0.0, f"raises {type(error).__name__}"


def take_turns(first: str, works: dict[str, Work], trials: dict[str, float], repeats: int) -> dict[str, Cost]:
    """Runs all works one after the other, `repeats` times; ratios are to the work named `first`."""
    numbers = {name: max(1, round(ROUND_SECONDS / trials[name])) for name in works}
    turns = []
    for _ in range(repeats):
        gc.collect()
        turns.append({name: run_seconds(work, numbers[name]) for name, work in works.items()})
    return {
        name: Cost(
            statistics.median(turn[name] for turn in turns),
            tuple(turn[name] / turn[first] for turn in turns),
        )
        for name in works
    }


def run_seconds(work: Work, number: int) -> float:
    """Seconds of one run, from `number` of them, each with the first garbage collection after it.

    A tool may pause the collector and leave its objects for later: that collection is part of its price.
    Freeing the result is not.
    """
    gc.collect(1)  # what the tool before it left
    total = 0.0
    for _ in range(number):
        start = time.perf_counter()
        result = work()
        gc.collect(0)
        total += time.perf_counter() - start
        del result
    return total / number


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raises Stopped in the main thread when the time is over."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise Stopped

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps what the tools print and warn of out of the tables."""
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        yield
