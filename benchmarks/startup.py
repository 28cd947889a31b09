"""Milliseconds that whole programs take, each in a process of its own, in turns with what they are held against; and
what the pytest plugin adds to a run."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent

BARE = ("-c", "pass")
MODEL = """
from torch import nn

def build():
    return nn.Sequential(*(nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64)) for _ in range(24)))
"""
GPT2 = """
import sys
from paramscope import audit
from benchmarks.models import gpt2
open(sys.argv[1], "w", encoding="utf-8").write(audit(gpt2()).to_json())
"""
FIRST = """
import gc, sys, time
import torch, model
built = model.build()
full = gc.get_stats()[2]["collections"]
start = time.perf_counter()
from paramscope import audit
audit(built)
print((time.perf_counter() - start) * 1000, gc.get_stats()[2]["collections"] - full)
"""
TESTS = """
import pytest

@pytest.mark.parametrize("number", range(3_000))
def test(number):
    pass
"""
# The exit code first: a program that fails is no program that is fast.
_COMMANDS = ("rules", "explain PS101", "inspect gpt2.json", "check gpt2.json --fail-on never")


class Startup(NamedTuple):
    """What one program costs."""

    what: str
    unit: str
    limit: float | None
    """None for what is only told beside the others."""
    measured: float | None
    """Median over the turns; None where it cannot be run."""
    spread: tuple[float, float] = (0.0, 0.0)
    """Least and greatest of the turns."""
    trouble: str = ""

    @property
    def is_hit(self) -> bool | None:
        """Whether the median keeps within the limit."""
        return None if self.measured is None or self.limit is None or self.trouble else self.measured <= self.limit


def startup_costs(repeats: int) -> list[Startup]:
    """Every program, each in so many turns."""
    with TemporaryDirectory(prefix="startup") as name:
        folder = Path(name)
        (folder / "model.py").write_text(MODEL, encoding="utf-8")
        (folder / "test_many.py").write_text(TESTS, encoding="utf-8")
        run(["-c", GPT2, str(folder / "gpt2.json")])
        return [*_programs(folder, repeats), _first_audit(folder, repeats), *_plugin(folder, repeats)]


def _programs(folder: Path, repeats: int) -> Iterator[Startup]:
    build = ("-c", "import torch, model; model.build()")
    inspect = ("-m", "paramscope", "inspect", "model.py:build")
    ratios, trouble = _turns(folder, repeats, (inspect, build), lambda seconds: seconds[0] / seconds[1])
    yield _startup("`paramscope inspect f.py:build`", "× importing torch and building", 1.0, ratios, trouble)
    programs: dict[str, tuple[tuple[str, ...], float | None]] = {
        f"`paramscope {command.replace(' --fail-on never', '')}`": (("-m", "paramscope", *command.split()), 60.0)
        for command in _COMMANDS
    }
    programs["`import click`, which each of these does"] = (("-c", "import click"), None)
    for what, (arguments, limit) in programs.items():
        over, trouble = _turns(folder, repeats, (arguments, BARE), lambda times: (times[0] - times[1]) * 1000)
        yield _startup(what, "ms over `python -c pass`", limit, over, trouble)


def _first_audit(folder: Path, repeats: int) -> Startup:
    times, full = [], 0
    for _ in range(repeats):
        done = run(["-c", FIRST], folder)
        if done.returncode:
            return Startup("the first audit in a process that has torch", "ms", 40.0, None, trouble=_last_line(done))
        taken, collections = done.stdout.split()
        times.append(float(taken))
        full += int(collections)
    trouble = f"{full} full garbage collections within" if full else ""
    return _startup("the first audit in a process that has torch", "ms", 40.0, times, trouble)


def _plugin(folder: Path, repeats: int) -> Iterator[Startup]:
    """What a run of pytest, and each of its tests, takes longer where the plugin is installed."""
    arguments = (
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:paramscope",
        "-p",
        "benchmarks.unused_plugin",
    )
    turns, trouble = [], ""
    for _ in range(repeats + 1):  # the first also writes the bytecode
        done = run([*arguments, "test_many.py"], folder)
        if done.returncode:
            turns, trouble = [], _last_line(done)
            break
        turns.append(tuple(map(float, done.stdout.splitlines()[-1].split())))
    what = "the pytest plugin, installed and unused, in CPU time"
    yield _startup(what, "ms a run", 2.0, [a_run for a_run, _ in turns[1:]], trouble)
    yield _startup("the same", "µs a test", 15.0, [a_test for _, a_test in turns[1:]], trouble)


def _turns(
    folder: Path,
    repeats: int,
    programs: Sequence[Sequence[str]],
    figure: Callable[[list[float]], T],
) -> tuple[list[T], str]:
    """(what `figure` makes of the seconds of each turn, what went wrong)."""
    for program in programs:
        done = run(program, folder)  # also writes the bytecode
        if done.returncode:
            return [], _last_line(done)
    return [figure([_seconds(program, folder) for program in programs]) for _ in range(repeats)], ""


def _startup(what: str, unit: str, limit: float | None, values: Sequence[float], trouble: str) -> Startup:
    if not values:
        return Startup(what, unit, limit, None, trouble=trouble)
    return Startup(what, unit, limit, statistics.median(values), (min(values), max(values)), trouble)


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
    return f"cannot be run: {lines[-1]}"


@cache
def _installed() -> tuple[TemporaryDirectory[str], dict[str, str]]:
    """An environment in which Python keeps bytecode, as it does of what pip has installed, and the folder for it."""
    folder = TemporaryDirectory(prefix="bytecode")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    path = os.pathsep.join(filter(None, (str(ROOT), str(ROOT / "plugins"), kept.get("PYTHONPATH", ""))))
    return folder, {**kept, "PYTHONPYCACHEPREFIX": folder.name, "PYTHONPATH": path}


def run(arguments: Sequence[str], folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs Python as a user would, with what is installed; the first time it is compiled."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=_installed()[1], capture_output=True, text=True, check=False)


def _seconds(arguments: Sequence[str], folder: Path) -> float:
    start = time.perf_counter()
    run(arguments, folder)
    return time.perf_counter() - start
