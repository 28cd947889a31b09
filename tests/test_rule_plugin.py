"""Rules of other packages: the example is installed as anyone installs it, and a broken one stops nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import forking

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "plugins" / "paramscope_example_rules"
NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50_257, 4)
        self.even = nn.Embedding(50_304, 4)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example in it, and a model to check."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "--target", str(folder), str(EXAMPLE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (folder / "net.py").write_text(NET)
    return folder


def paramscope(folder: Path, *arguments: str, more: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command line with packages from folders beside those that are installed."""
    path = [folder, *([more] if more else [])]
    return forking.run(forking.COMMAND, *arguments, cwd=folder, path=path, env={"COLUMNS": "100"})


def offer(folder: Path, name: str, entry: str, files: dict[str, str]) -> None:
    """A package as an installer leaves it: its files and its entry points."""
    for file, source in files.items():
        (folder / file).write_text(source)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[paramscope.rules]\n{name} = {entry}\n")


def test_its_finding_is_seen(installed: Path) -> None:
    done = paramscope(installed, "check", "net.py:Net", "--select", "EX001")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("net.py:7: warning EX001 odd-vocabulary\n  words.weight has 50,257 rows")
    assert "nn.Embedding(50304, …)" in done.stdout
    assert done.stdout.endswith("net.py:Net: 1 warning\n")


def test_it_is_listed_explained_and_part_of_all_rules(installed: Path, tmp_path: Path) -> None:
    assert "EX001  odd-vocabulary" in paramscope(installed, "rules").stdout
    out = paramscope(installed, "explain", "odd-vocabulary").stdout
    assert out.startswith("EX001 odd-vocabulary (warning, from paramscope-example-rules)\n")
    assert "EX001" in paramscope(installed, "check", "net.py:Net").stdout
    (tmp_path / "pyproject.toml").write_text('[tool.paramscope]\nseverity = { EX001 = "info" }\n')
    (tmp_path / "net.py").write_text(NET)
    assert paramscope(tmp_path, "check", "net.py:Net", "--select", "EX001", more=installed).returncode == 0


def test_without_it_there_is_no_such_rule() -> None:
    done = paramscope(ROOT, "explain", "EX001")
    assert done.returncode == 2
    assert "there is no rule 'EX001'" in done.stderr


@pytest.mark.parametrize(
    ("entry", "files", "told"),
    [
        ("nowhere", {}, "cannot be loaded: ModuleNotFoundError: No module named 'nowhere'"),
        ("raises", {"raises.py": "raise RuntimeError('as it is')\n"}, "cannot be loaded: RuntimeError: as it is"),
        ("nothing", {"nothing.py": "x = 1\n"}, "offers no rule there: RULE and check(facts) are missing"),
        (
            "takes",
            {"takes.py": "from paramscope.plugin import Rule\nfrom paramscope import Severity\n"
             "RULE = Rule('PS101', 'mine', Severity.ERROR)\n\ndef check(facts):\n    yield from ()\n"},
            "offers PS101, which is taken by paramscope",
        ),
        (
            "crashes",
            {"crashes.py": "from paramscope.plugin import Rule\nfrom paramscope import Severity\n"
             "RULE = Rule('XX1', 'mine', Severity.ERROR)\n\ndef check(facts):\n    raise KeyError('x')\n    yield\n"},
            "the rule crashed: KeyError at crashes.py:6: 'x'",
        ),
    ],
)  # fmt: skip
def test_a_broken_one_is_named_and_changes_no_exit_code(
    installed: Path, tmp_path: Path, entry: str, files: dict[str, str], told: str
) -> None:
    offer(tmp_path, "broken", entry, files)
    done = paramscope(installed, "check", "net.py:Net", "--fail-on", "error", more=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.split())
    assert told in shown
    assert "skipped: broken: " in shown or "skipped: XX1: " in shown
    assert "EX001" in done.stdout
    assert paramscope(installed, "check", "net.py:Net", more=tmp_path).returncode == 1
    listed = paramscope(installed, "rules", more=tmp_path)
    assert listed.returncode == 0
    assert "EX001" in listed.stdout
