"""How a check is asked for its format, by option, ending and environment; and where there are colours."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.check_models import model_folder
from support.forking import COMMAND
from support.forking import run as run_apart
from support.targets import run

folder = model_folder
HIDDEN = ("check", "models.py:hidden", "--select", "PS101")


def said(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """What a check that finds something prints."""
    assert run(*HIDDEN, *options) == 1
    return capsys.readouterr().out


def test_the_option_has_the_names_that_ruff_gives_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, quiet = said(capsys), said(capsys, "-q")
    assert text != quiet
    assert quiet.count("\n") == 1
    assert said(capsys, "--output-format", "full") == said(capsys, "--format", "text") == text
    assert said(capsys, "--output-format", "concise") == said(capsys, "--output-format=concise") == quiet
    assert said(capsys, "--output-format", "github").startswith("::error file=")


def test_the_environment_has_the_last_word_and_no_other(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = said(capsys)
    monkeypatch.setenv("PARAMSCOPE_OUTPUT_FORMAT", "github")
    assert said(capsys).startswith("::error file=")
    assert said(capsys, "-f", "text") == text
    assert said(capsys, "-o", "found.sarif") == ""
    assert (folder / "found.sarif").read_text().startswith('{\n "$schema"')
    assert said(capsys, "-o", "found.txt") == ""
    assert (folder / "found.txt").read_text().startswith("::error file=")
    monkeypatch.setenv("PARAMSCOPE_OUTPUT_FORMAT", "gitlub")
    assert run(*HIDDEN) == 2
    assert capsys.readouterr().err == (
        "error: PARAMSCOPE_OUTPUT_FORMAT: a check cannot be written as 'gitlub'\nhelp: Did you mean gitlab?\n"
    )
    monkeypatch.setenv("PARAMSCOPE_OUTPUT_FORMAT", "")
    assert said(capsys) == text


@pytest.mark.parametrize(
    ("surroundings", "is_colored"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        ({"FORCE_COLOR": ""}, False),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"NO_COLOR": "", "FORCE_COLOR": "1"}, True),
    ],
)
def test_colors_where_no_terminal_is(folder: Path, *, surroundings: dict[str, str], is_colored: bool) -> None:
    (folder / "pyproject.toml").touch()
    for arguments in (HIDDEN, ("inspect", "models.py:hidden"), ("explain", "PS101")):
        done = run_apart(COMMAND, *arguments, cwd=folder, env=surroundings)
        assert ("\x1b[" in done.stdout) is is_colored, done.stdout
        assert "\x1b" not in done.stderr


def test_no_file_is_colored(folder: Path) -> None:
    for arguments in ((*HIDDEN, "-o", "found.txt"), ("inspect", "models.py:hidden", "-o", "found.txt")):
        run_apart(COMMAND, *arguments, cwd=folder, env={"FORCE_COLOR": "1"})
        assert "Hidden" in (folder / "found.txt").read_text() or "PS101" in (folder / "found.txt").read_text()
        assert "\x1b" not in (folder / "found.txt").read_text()
