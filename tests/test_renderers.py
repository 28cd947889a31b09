"""Formats of other packages: found by their entry points, rendered like our own, and harmless where they fail."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import forking
from torch import nn

import paramscope.render as rendering
from paramscope import Report, audit
from paramscope.errors import FormatError, ParamscopeError
from paramscope.render import formats, options_of, render, renderer, takers_of

EXAMPLE = Path(__file__).parent.parent / "plugins" / "paramscope_example"

MODULE = """
from paramscope.errors import GlobError

def good(report, *, word="x"):
    return f"{word}: {len(report.slots)}"

def fails(report):
    raise RuntimeError("out of paper")

def refuses(report):
    raise GlobError("its own problem", "its own advice")

def number(report):
    return 3

def positional(report, width):
    return ""

not_a_function = 3
"""


@pytest.fixture(autouse=True)
def _forgets() -> None:
    """What is found is kept by `sys.path`; of the renderers, by name."""
    renderer.cache_clear()


def offer(folder: Path, name: str, **points: str) -> None:
    """A distribution as pip leaves it behind."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    lines = "".join(f"{format} = {value}\n" for format, value in points.items())
    (info / "entry_points.txt").write_text(f"[paramscope.renderers]\n{lines}", encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages, one of which offers formats good and bad."""
    (tmp_path / "others_formats.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "others_broken.py").write_text("import a_package_that_is_not_there\n", encoding="utf-8")
    (tmp_path / "others_leaving.py").write_text("raise SystemExit(3)\n", encoding="utf-8")
    names = ("good", "fails", "refuses", "number", "positional", "not_a_function")
    points = {name: f"others_formats:{name}" for name in names}
    offer(
        tmp_path,
        "others",
        **points,
        broken="others_broken:render",
        leaving="others_leaving:render",
        missing="others_formats:missing",
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "others_formats", raising=False)
    return tmp_path


@pytest.fixture(name="net")
def _net() -> Report:
    return audit(nn.Linear(2, 2))


@pytest.mark.usefixtures("site")
def test_formats_of_others_are_listed_and_rendered_like_our_own(net: Report) -> None:
    assert {"good", "broken", "table"} <= set(formats())
    assert list(formats()) == sorted(formats())
    assert options_of("good") == {"word"}
    assert net.render("good") == "x: 2"
    assert net.render("good", word="y") == "y: 2"
    with pytest.raises(FormatError, match="the format good takes no option 'path'"):
        net.render("good", path="*")
    with pytest.raises(FormatError, match="Did you mean good"):
        net.render("goood")


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    ("format", "problem"),
    [
        ("broken", "the format 'broken' of others cannot be loaded: ModuleNotFoundError: No module named 'a_package"),
        ("leaving", "the format 'leaving' of others cannot be loaded: SystemExit: 3"),
        ("missing", "the format 'missing' of others cannot be loaded: AttributeError"),
        ("not_a_function", "the format 'not_a_function' of others is no renderer: others_formats:not_a_function"),
        ("positional", "the format 'positional' of others is no renderer: others_formats:positional"),
        ("fails", "the format 'fails' of others failed: RuntimeError: out of paper"),
        ("number", "the format 'number' of others gave a int"),
    ],
)
def test_what_fails_is_named_only_when_it_is_asked_for(net: Report, format: str, problem: str) -> None:
    assert format in formats()
    assert net.render("good") == "x: 2"
    assert "trainable params: 6" in str(net)
    assert format not in takers_of("fold")
    assert {"table", "markdown", "html"} <= set(takers_of("fold"))
    for _ in range(2):
        with pytest.raises(FormatError) as error:
            net.render(format)
        assert error.value.problem.startswith(problem)
        assert error.value.advice
    if format == "fails":
        assert "in fails" in error.value.detail


@pytest.mark.usefixtures("site")
def test_an_error_that_says_what_to_do_passes(net: Report) -> None:
    with pytest.raises(ParamscopeError, match="its own problem"):
        net.render("refuses")


def test_nobody_replaces_a_format_of_ours(net: Report, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = net.render("table")
    (site / "second").mkdir()
    offer(site / "second", "usurper", table="others_formats:good", extra="others_formats:good")
    monkeypatch.syspath_prepend(site / "second")
    with pytest.warns(
        UserWarning, match=r"^usurper offers the format 'table', which paramscope has: its own is used$"
    ):
        assert formats().count("table") == 1
    assert net.render("table") == before
    assert net.render("extra") == "x: 2"


def test_of_two_packages_neither_is_guessed(net: Report, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "second").mkdir()
    offer(site / "second", "another", good="others_formats:fails", same="others_formats:good")
    monkeypatch.syspath_prepend(site / "second")
    assert formats().count("good") == 1
    with pytest.raises(FormatError, match="the format 'good' is offered by another and others"):
        net.render("good")
    assert net.render("same") == "x: 2"


@pytest.mark.usefixtures("site")
def test_our_own_formats_are_rendered_without_a_look_at_packages(
    net: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trap(path: tuple[str, ...]) -> None:
        raise AssertionError("entry points were read")

    monkeypatch.setattr(rendering, "_offered", trap)
    assert render(net, "csv", sort="path")
    with pytest.raises(AssertionError, match="entry points were read"):
        formats()


def test_importing_reads_no_entry_points() -> None:
    code = "import sys, paramscope, paramscope.render; print('importlib.metadata' in sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env=_env())
    assert done.stdout.strip() == "False"


def _env(*folders: Path) -> dict[str, str]:
    """The environment of a process that finds paramscope and some packages beside it."""
    root = Path(__file__).parent.parent
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*folders, root])), "COLUMNS": "100"}


@pytest.fixture(scope="session", name="installed")
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip installed the example, from nothing but its source."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling, which builds the example, is not installed")
    folder = tmp_path_factory.mktemp("installed")
    options = ("--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check", "--quiet")
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder), str(EXAMPLE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_example_in_python(installed: Path) -> None:
    code = """
import json
from torch import nn
from paramscope import audit
from paramscope.render import formats
report = audit(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
print(json.dumps(["names" in formats(), report.render("names"), report.render("names", path="*.bias")]))
"""
    done = forking.run(code, path=[installed])
    assert done.stderr == ""
    assert json.loads(done.stdout) == [True, "0.weight\n0.bias\n1.weight\n1.bias\n", "0.bias\n1.bias\n"]


def test_the_example_at_the_command_line(installed: Path, tmp_path: Path) -> None:
    saved = tmp_path / "report.json"
    saved.write_text(audit(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))).to_json(), encoding="utf-8")
    command = [sys.executable, "-m", "paramscope", "inspect", str(saved), "-f", "names"]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        env = _env(installed)
        return subprocess.run([*command, *more], capture_output=True, text=True, check=False, env=env)

    done = run("--path", "*weight")
    assert (done.stdout, done.stderr, done.returncode) == ("0.weight\n1.weight\n", "", 0)
    done = run("--depth", "1")
    assert done.returncode == 2
    assert "the format names takes no --depth" in done.stderr


def test_the_example_says_names_as_data() -> None:
    spec = importlib.util.spec_from_file_location("paramscope_example", EXAMPLE / "paramscope_example.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = nn.Module()
    model._parameters["a\n\x1b[31mb"] = nn.Parameter(torch.zeros(1))
    assert module.render(audit(model)) == "a\\n\\x1b[31mb\n"
