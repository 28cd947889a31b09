"""The wheel in a venv that has torch and what the wheel asks for, and nothing else: `make release-check`.

Asked for by its folder: it installs torch. TORCH says which.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.followed import as_it_is_today

MODEL = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 4)
        self.hidden = [nn.Linear(4, 4)]


def good():
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
"""


class Bare:
    """A venv, and a folder with a model to work in."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.work = folder / "venv" / "bin", folder / "work"
        self.work.mkdir()
        (self.work / "model.py").write_text(MODEL, encoding="utf-8")
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)

    def install(self, *packages: str) -> None:
        """With pip."""
        command = [str(self.bin / "python"), "-m", "pip", "install", "--quiet", *packages]
        subprocess.run(command, check=True)

    def run(self, program: str, *arguments: str, code: int = 0) -> str:
        """What a program of the venv prints, and says; nothing else is on its PATH. code: its exit status."""
        done = self.done([program, *arguments], self.work)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def done(self, command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
        """What became of a command of the venv in a folder."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        environment |= {"PATH": str(self.bin), "COLUMNS": "88", "PYTHONWARNINGS": "ignore"}
        program, *arguments = command
        return subprocess.run(
            [str(self.bin / program), *arguments], cwd=folder, env=environment, capture_output=True, text=True
        )


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Bare:
    """With the wheel, without extras."""
    found = Bare(tmp_path_factory.mktemp("bare"))
    found.install(os.environ.get("TORCH", "torch"))
    found.install(str(wheel))
    return found


def test_the_command_line(bare: Bare) -> None:
    assert "hidden" in bare.run("paramscope", "inspect", "model.py:Net")
    assert "PS101" in bare.run("paramscope", "check", "model.py:Net", code=1)
    assert "nothing found" in bare.run("paramscope", "check", "model.py:good")
    assert "digraph" in bare.run("paramscope", "graph", "model.py:Net", "-f", "dot")
    bare.run("paramscope", "graph", "model.py:Net", "-f", "treemap", "-o", "map.svg")
    bare.run("paramscope", "inspect", "model.py:Net", "-f", "json", "-o", "report.json")
    bare.run("paramscope", "inspect", "model.py:Net", "-f", "html", "-o", "report.html")
    assert json.loads((bare.work / "report.json").read_text())["format"] == "paramscope.report"
    assert (bare.work / "report.html").stat().st_size > 1_500_000
    assert "renamed" in bare.run("paramscope", "diff", "report.json", "model.py:good")
    bare.run("paramscope", "lock", "model.py:good")
    bare.run("paramscope", "check", "--locked", "model.py:good")
    assert "What it finds" in bare.run("paramscope", "explain", "PS101")
    assert "PS101" in bare.run("paramscope", "rules")
    assert "which rank has saved it" in bare.run("paramscope", "merge", "report.json", code=2)


def test_what_is_missing_is_named_with_how_to_get_it(bare: Bare) -> None:
    for suffix in ("svg", "png", "pdf"):
        said = bare.run("paramscope", "graph", "model.py:Net", "-o", f"model.{suffix}", code=2)
        assert "pip install 'paramscope[svg]'" in said
    for library in ("lightning", "transformers"):
        code = f"import paramscope.integrations.{library} as ours; ours.ParamscopeCallback()"
        assert f"pip install {library}" in bare.run("python", "-c", code, code=1)
    assert "pip install pytest" in bare.run("python", "-c", "import pytest_paramscope", code=1)


def test_the_plugin_and_pictures_once_they_can_be_had(bare: Bare) -> None:
    bare.install("pytest>=8", "pygraphviz>=2.0")
    (bare.work / "test_net.py").write_text(
        "import pytest\n\n@pytest.mark.paramscope(target='model.py:good', trainable=26)\ndef test_it(): pass\n\n"
        "def test_fixture(paramscope):\n    from model import good\n    paramscope.expect(good(), total=26)\n",
        encoding="utf-8",
    )
    assert "2 passed" in bare.run("python", "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider")
    bare.run("paramscope", "graph", "model.py:Net", "-o", "model.svg")
    assert "<svg" in (bare.work / "model.svg").read_text()


def test_every_command_of_the_tour_prints_what_it_shows(bare: Bare, tmp_path: Path) -> None:
    bare.install("pytest>=8")
    page = (Path(__file__).parents[2] / "docs" / "tour.md").read_text(encoding="utf-8")

    def shell(command: str) -> str:
        done = bare.done(shlex.split(command), tmp_path)
        assert done.returncode in (0, 1), done.stderr
        return done.stdout

    assert as_it_is_today(page, tmp_path, ModuleType("tour"), shell) == page
    assert (tmp_path / "test_model.py").exists()


def test_pyright_reads_it_all(bare: Bare) -> None:
    """The public names have their types, and what people write against them is right in strict mode."""
    pyright = [sys.executable, "-m", "pyright", "--outputjson"]
    environment = {**os.environ, "PATH": f"{bare.bin}{os.pathsep}{os.environ['PATH']}"}
    verify = [*pyright, "--verifytypes", "paramscope", "--ignoreexternal"]
    done = subprocess.run(verify, cwd=bare.work, env=environment, capture_output=True, text=True)
    symbols = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    public = [each for each in symbols if each["name"].startswith(PUBLIC) and not each["isTypeKnown"]]
    assert [each["name"] for each in public] == []
    assert len(symbols) > 1_000

    bare.install("pytest>=8")
    user = Path(__file__).parent.parent / "test_typed_user.py"
    (bare.work / "typed.py").write_text("# pyright: strict\n" + user.read_text(encoding="utf-8"), encoding="utf-8")
    strict = [*pyright, "--pythonpath", str(bare.bin / "python"), "typed.py"]
    done = subprocess.run(strict, cwd=bare.work, capture_output=True, text=True)
    found = json.loads(done.stdout)["generalDiagnostics"]
    assert [f"{each['range']['start']['line']}: {each['message']}" for each in found] == []


PUBLIC = (
    "paramscope.api.", "paramscope.errors.", "paramscope.loop.watch.Watch",
    "paramscope.plugin.", "paramscope.report.", "paramscope.rules.facts.", "paramscope.rules.rule.",
    "paramscope.snapshot.", "paramscope.testing.",
)  # fmt: skip
"""Where the names are that the public ones lead to."""
