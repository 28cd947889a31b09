"""CONTRIBUTING.md: its rule, format and command do what it says, each as one more file in a copy of the package."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from paramscope import audit

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = {path: code for path, _, code in re.findall(r"(?ms)^`([\w/]+\.py)`:\n\n(`{3,})python\n(.*?)^\2$", PAGE)}


def only(folder: str) -> str:
    """The one file that the page adds below a folder."""
    (path,) = (path for path in FILES if path.startswith(folder))
    return path


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the page's files in it."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "paramscope", folder / "paramscope", ignore=shutil.ignore_patterns("__pycache__"))
    for path, code in FILES.items():
        assert not (ROOT / path).exists(), f"{path} is taken: the page needs another example"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(code, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def fixture(checkout: Path) -> ModuleType:
    """The rule's fixture, imported."""
    spec = importlib.util.spec_from_file_location("fixture_of_the_page", checkout / only("fixtures/rules/"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def paramscope(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line of the copy, which no process has imported yet; saved reports spare it torch."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "COLUMNS": "200"}
    command = [sys.executable, "-m", "paramscope", *arguments]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def test_the_rule_finds_the_bug_and_nothing_else(checkout: Path, fixture: ModuleType) -> None:
    for builder in ("bad", "good", "near_two_elements"):
        (checkout / f"{builder}.json").write_text(audit(getattr(fixture, builder)()).to_json())
    code = re.sub(r".*/(ps\d+)_.*", r"\1", only("paramscope/rules/")).upper()
    done = paramscope(checkout, "check", "bad.json", "good.json", "near_two_elements.json", "--select", code)
    assert done.stderr == ""
    assert done.returncode == 1
    assert done.stdout.count(code) == len(fixture.EXPECTED["bad"]) == 1
    (line,) = (
        number for number, text in enumerate(FILES[only("fixtures/rules/")].splitlines(), 1) if "# blame: bad" in text
    )
    assert f"{Path(only('fixtures/rules/')).name}:{line}: warning {code}" in done.stdout
    assert "norm normalises a single element" in done.stdout


def test_the_format_is_found_and_takes_its_option(checkout: Path, fixture: ModuleType) -> None:
    (checkout / "report.json").write_text(audit(fixture.bad()).to_json())
    format = Path(only("paramscope/render/")).stem
    done = paramscope(checkout, "inspect", "report.json", "-f", format, "--path", "score.*")
    assert (done.stdout, done.stderr) == ("score.weight\t1×8\nscore.bias\t1\n", "")
    missed = paramscope(checkout, "inspect", "report.json", "-f", format, "--path", "nope.*")
    assert (missed.returncode, missed.stdout) == (2, "")
    assert "no slot matches 'nope.*'" in missed.stderr


def test_the_command_is_found(checkout: Path, fixture: ModuleType) -> None:
    (checkout / "report.json").write_text(audit(fixture.bad()).to_json())
    name = Path(only("paramscope/cli/")).stem
    done = paramscope(checkout, name, "report.json")
    assert (done.stdout, done.stderr) == ("11\n", "")
    assert name in paramscope(checkout, "--help").stdout
