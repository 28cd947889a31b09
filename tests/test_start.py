"""How the program begins and ends: what it imports, what it awaits, and what it leaves to the operating system."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path

import pytest
from support import forking

from paramscope.installed import offered

ROOT = Path(__file__).parent.parent
GROUP = "paramscope.of_this_test"

TARGET = """
import atexit, os, sys, threading, time
from torch import nn

@atexit.register
def last_words():
    print("atexit ran", file=sys.stderr)

def work():
    while not done.wait(0.01) and threading.main_thread().is_alive():
        pass
    print("the thread ended", file=sys.stderr)

class Watch:
    def __del__(self):
        os.write(2, b"torn down\\n")

done = threading.Event()
threading.Thread(target=work).start()
watch = Watch()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(2, 2)]
"""

USUAL = "ended as usual with 0\n"
RUN = """
import sys
{before}
from paramscope.cli import run
try:
    run()
except SystemExit as end:
    print("ended as usual with", end.code, file=sys.stderr)
    raise
"""


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")])
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**kept, "PYTHONPATH": path, "COLUMNS": "100"}


def paramscope(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "paramscope", *arguments]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def test_the_program_awaits_what_python_promises_and_tears_nothing_down(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(TARGET)
    done = paramscope(tmp_path, "check", "net.py:Net")
    assert done.returncode == 1
    assert "\nnet.py:Net: 1 error\n" in done.stdout
    assert done.stderr == "the thread ended\natexit ran\n"


@pytest.mark.parametrize(
    ("target", "before", "end"),
    [
        ("", "", ""),
        ("log = open('log.txt', 'w'); log.write('built')", "", USUAL),
        ("log = open('log.txt', 'w'); log.write('built'); log.close()", "", ""),
        ("log = open(__file__)", "", ""),
        ("", "sys.setprofile(lambda *event: None)", USUAL),
        ("", "sys.settrace(lambda *event: None)", USUAL),
        ("", "import os; os.environ['LD_PRELOAD'] = 'libprofiler.so'", USUAL),
    ],
)
def test_where_the_usual_end_may_matter_it_is_the_end(tmp_path: Path, target: str, before: str, end: str) -> None:
    (tmp_path / "net.py").write_text(f"from torch import nn\n{target}\nnet = nn.Linear(2, 2)\n")
    done = forking.run(
        RUN.format(before=before), "inspect", "net.py:net", "-o", "report.json", cwd=tmp_path, env={"LD_PRELOAD": ""}
    )
    assert done.stderr == end
    assert done.returncode == 0
    assert json.loads((tmp_path / "report.json").read_text())["totals"]["parameters"] == 6


def test_a_reader_that_goes_away_is_not_complained_about(tmp_path: Path) -> None:
    (tmp_path / "closed.py").write_text(
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-m', 'paramscope', 'rules'], stdout=-1, stderr=-1)\n"
        "child.stdout.close()\n"
        "print(child.wait(), child.stderr.read())\n"
    )
    done = subprocess.run(
        [sys.executable, "closed.py"], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "1 b''\n"


def test_the_first_audit_sets_off_no_full_collection() -> None:
    code = """
import gc, json
from torch import nn
generations = []
gc.callbacks.append(lambda phase, info: generations.append(info["generation"]))
gc.collect()
generations.clear()
from paramscope import audit
report = audit(nn.Linear(2, 2), target="net.py:build")
print(json.dumps([max(generations, default=0), len(generations) < 8, gc.isenabled(), report.target]))
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [0, True, True, "net.py:build"]


def test_where_no_plugin_is_installed_no_distribution_is_read() -> None:
    code = """
import sys
from paramscope.render import formats
from paramscope.rules.discovery import discover
formats(), discover()
print("importlib.metadata" in sys.modules)
"""
    # Without site-packages, whose .pth files may import anything.
    done = subprocess.run([sys.executable, "-S", "-c", code], env=environment(), capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def offer(folder: Path, info: str, group: str = GROUP) -> None:
    """Metadata of a package that offers one thing."""
    place = folder / info
    place.mkdir(parents=True)
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n", encoding="utf-8")
    (place / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n", encoding="utf-8")
    (place / "entry_points.txt").write_text(f"[{group}]\nthing = others:thing\n", encoding="utf-8")


def found() -> EntryPoints:
    return entry_points(group=GROUP)


@pytest.mark.parametrize("info", ["others-1.0.dist-info", "others.egg-info", "Others-1.0.DIST-INFO"])
def test_a_package_is_seen_at_once_and_forgotten_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, info: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    offer(tmp_path, "other.dist-info", "paramscope.of_another_test")
    assert offered(GROUP) == ()
    offer(tmp_path, info)
    assert [point.name for point in offered(GROUP)] == ["thing"]
    assert list(offered(GROUP)) == list(found())
    # Rewritten in place, as building an editable package does: the folder that holds it does not change.
    (tmp_path / info / "entry_points.txt").write_text("")
    assert offered(GROUP) == ()


def test_eggs_archives_and_finders_of_others_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    egg = tmp_path / "others-1.0.egg"
    offer(egg, "EGG-INFO")
    archive = tmp_path / "others.zip"
    offer(tmp_path, "packed/others-1.0.dist-info")
    with zipfile.ZipFile(archive, "w") as packed:
        for file in (tmp_path / "packed").rglob("*.txt"):
            packed.write(file, file.relative_to(tmp_path / "packed"))
        packed.writestr("others-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    for place in (egg, archive):
        with monkeypatch.context() as patch:
            patch.syspath_prepend(place)
            assert [point.name for point in offered(GROUP)] == ["thing"], place
    assert offered(GROUP) == ()

    class Finder:
        """As the backport of importlib.metadata, or an environment that keeps packages elsewhere, puts in."""

        @staticmethod
        def find_spec(*_: object) -> None:
            return None

        @staticmethod
        def find_distributions(context: object) -> object:
            from importlib.metadata import PathDistribution

            return [PathDistribution(tmp_path / "packed" / "others-1.0.dist-info")]

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert [point.name for point in offered(GROUP)] == ["thing"]
