"""Milliseconds that an import and `--help` take over a bare interpreter, each in a process of its own."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

BARE = "pass"
IMPORT = "import paramscope"
HELP = "import sys; from paramscope.cli import main; sys.argv = ['paramscope', '--help']; sys.exit(main())"
# Shows on stderr whether torch was imported, whatever way the program ends.
_WATCH = "import atexit, sys; atexit.register(lambda: sys.stderr.write('torch:%s' % ('torch' in sys.modules))); "


class Startup(NamedTuple):
    """What starting one program costs."""

    what: str
    milliseconds: float | None
    """Median over the turns, less the bare interpreter of the same turn; None where it cannot be run."""
    spread: tuple[float, float] = (0.0, 0.0)
    """Least and greatest of the turns."""
    bare_milliseconds: float = 0.0
    imports_torch: bool = False
    trouble: str = ""


def startup_costs(repeats: int) -> list[Startup]:
    """`import paramscope` and `paramscope --help`, in turns with a bare interpreter."""
    programs = {"`import paramscope`": IMPORT, "`paramscope --help`": HELP}
    broken: dict[str, str] = {}
    torches: dict[str, bool] = {}
    for what, code in programs.items():
        trial = run_installed(_WATCH + code)  # also writes the bytecode
        torches[what] = trial.stderr.endswith("torch:True")
        if trial.returncode:
            lines = trial.stderr.partition("torch:")[0].strip().splitlines() or ["no message"]
            broken[what] = f"cannot be run: {lines[-1]}"
    works = {what: code for what, code in programs.items() if what not in broken}
    turns = [{what: _milliseconds(code) for what, code in {"bare": BARE, **works}.items()} for _ in range(repeats)]
    bare = statistics.median(turn["bare"] for turn in turns)
    found = []
    for what in programs:
        if what in broken:
            found.append(Startup(what, None, trouble=broken[what]))
            continue
        over = [turn[what] - turn["bare"] for turn in turns]
        found.append(Startup(what, statistics.median(over), (min(over), max(over)), bare, torches[what]))
    return found


@cache
def _installed() -> tuple[TemporaryDirectory[str], dict[str, str]]:
    """An environment in which Python keeps bytecode, as it does of what pip has installed, and the folder for it."""
    folder = TemporaryDirectory(prefix="bytecode")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return folder, {**kept, "PYTHONPYCACHEPREFIX": folder.name}


def run_installed(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a program as one that is installed; the first time it is compiled."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, env=_installed()[1], capture_output=True, text=True, check=False)


def _milliseconds(code: str) -> float:
    start = time.perf_counter()
    run_installed(code)
    return (time.perf_counter() - start) * 1000
