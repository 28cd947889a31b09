"""Milliseconds that programs take over a bare interpreter, or over what they are compared with, each in a process of
its own."""

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

# Shows on stderr whether torch was imported, whatever way the program ends.
_WATCH = "import atexit, sys; atexit.register(lambda: sys.stderr.write('torch:%s' % ('torch' in sys.modules))); "
_MODEL = """
from torch import nn

def build():
    return nn.Sequential(*(nn.TransformerEncoderLayer(64, 4, 128) for _ in range(4)), nn.Linear(64, 10))
"""
_REPORT = """
from benchmarks.models import gpt2
from paramscope import audit
open("report.json", "w").write(audit(gpt2()).to_json())
"""


class Program(NamedTuple):
    """One program, and how much longer than another it may take."""

    what: str
    code: str
    limit: float
    """Milliseconds that it may take longer than its base."""
    base: str = "pass"
    """The program that it is compared with."""
    needs_torch: bool = False


def _command(*arguments: str) -> str:
    return f"import sys; from paramscope.cli import run; sys.argv = ['paramscope', *{arguments!r}]; run()"


_BUILD = "import torch, model; built = model.build()"
_PYTEST = "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', {}, 'test_nothing.py']))"
PROGRAMS = (
    Program("`import paramscope`", "import paramscope", 50.0),
    Program("`paramscope --help`", _command("--help"), 150.0),
    Program("`paramscope rules`", _command("rules"), 60.0),
    Program("`paramscope explain PS101`", _command("explain", "PS101"), 60.0),
    Program("`paramscope inspect` of GPT-2's saved report", _command("inspect", "report.json"), 60.0),
    Program(
        "`paramscope check` of GPT-2's saved report", _command("check", "report.json", "--fail-on", "never"), 60.0
    ),
    Program(
        "`paramscope inspect model.py:build`", _command("inspect", "model.py:build"), 0.0, _BUILD, needs_torch=True
    ),
    Program(
        "the first audit", f"{_BUILD}; from paramscope import audit; audit(built)", 40.0, _BUILD, needs_torch=True
    ),
    Program(
        "the pytest plugin, unused",
        _PYTEST.format("'-q'"),
        2.0,
        _PYTEST.format("'-pno:paramscope'"),
    ),
)


class Startup(NamedTuple):
    """What starting one program costs."""

    program: Program
    milliseconds: float | None
    """Median over the turns, less its base in the same turn; None where it cannot be run."""
    spread: tuple[float, float] = (0.0, 0.0)
    """Least and greatest of the turns."""
    base_milliseconds: float = 0.0
    imports_torch: bool = False
    trouble: str = ""


def startup_costs(repeats: int) -> list[Startup]:
    """Every program, in turns with what it is compared with."""
    folder = _folder()
    (folder / "model.py").write_text(_MODEL, encoding="utf-8")
    (folder / "test_nothing.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
    run_installed(_REPORT)
    broken: dict[str, str] = {}
    torches: dict[str, bool] = {}
    for program in PROGRAMS:
        trial = run_installed(_WATCH + program.code)  # also writes the bytecode
        torches[program.what] = trial.stderr.endswith("torch:True")
        if trial.returncode:
            lines = trial.stderr.partition("torch:")[0].strip().splitlines() or ["no message"]
            broken[program.what] = f"cannot be run: {lines[-1]}"
    works = [program for program in PROGRAMS if program.what not in broken]
    codes = dict.fromkeys(code for program in works for code in (program.base, program.code))
    turns = [{code: _milliseconds(code) for code in codes} for _ in range(repeats)]
    found = []
    for program in PROGRAMS:
        if program.what in broken:
            found.append(Startup(program, None, trouble=broken[program.what]))
            continue
        over = [turn[program.code] - turn[program.base] for turn in turns]
        base = statistics.median(turn[program.base] for turn in turns)
        spread = (min(over), max(over))
        found.append(Startup(program, statistics.median(over), spread, base, torches[program.what]))
    return found


@cache
def _installed() -> tuple[TemporaryDirectory[str], dict[str, str]]:
    """An environment in which Python keeps bytecode, as it does of what pip has installed, and the folder for it."""
    folder = TemporaryDirectory(prefix="bytecode")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    path = os.pathsep.join(filter(None, [str(ROOT), str(ROOT / "plugins"), kept.get("PYTHONPATH")]))
    return folder, {**kept, "PYTHONPYCACHEPREFIX": folder.name, "PYTHONPATH": path}


@cache
def _folder() -> Path:
    """Where the programs run, with a model, a saved report and a test beside them."""
    folder = Path(_installed()[0].name) / "programs"
    folder.mkdir()
    return folder


def run_installed(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a program as one that is installed; the first time it is compiled."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=_folder(), env=_installed()[1], capture_output=True, text=True, check=False)


def _milliseconds(code: str) -> float:
    start = time.perf_counter()
    run_installed(code)
    return (time.perf_counter() - start) * 1000
