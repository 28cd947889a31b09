"""Workflow commands and the job summary: read back as GitHub's runner reads them, whatever words stand in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from support.check_models import line_of, model_folder
from support.drawn_findings import HOSTILE, REPORTS, WORDS, finding, rendering, report
from support.targets import run

from paramscope import Location, Report, Severity
from paramscope.exceptions.checked import Checked
from paramscope.render.ci.github import escape_markdown, escape_message, escape_property, job_summary

render = rendering("github")

folder = model_folder


def read_command(line: str) -> tuple[str, dict[str, str], str] | None:
    """As ActionCommand.TryParseV2 of GitHub's runner reads a line; None for a line of text."""
    line = line.lstrip()
    if not line.startswith("::") or "::" not in line[2:]:
        assert "##[" not in line, "the runner's older commands may begin anywhere"
        return None
    head, _, message = line[2:].partition("::")
    command, _, told = head.partition(" ")
    properties = {}
    for pair in told.split(","):
        if pair:
            name, _, value = pair.partition("=")
            for escaped, plain in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
                value = value.replace(escaped, plain)
            properties[name.strip()] = value
    for escaped, plain in (("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        message = message.replace(escaped, plain)
    return command, properties, message


def lines_of(text: str) -> list[str]:
    """What the runner takes for lines."""
    return re.split(r"\r\n|\r|\n", text)


@given(WORDS)
def test_what_is_escaped_reads_back(words: str) -> None:
    line = f"::error title={escape_property(words)}::{escape_message(words)}"
    assert len(lines_of(line)) == 1
    assert read_command(line) == ("error", {"title": words}, words)


def test_the_escapes_are_those_of_the_runner() -> None:
    assert escape_message("100% a\r\nb: c, d") == "100%25 a%0D%0Ab: c, d"
    assert escape_property("100% a\r\nb: c, d") == "100%25 a%0D%0Ab%3A c%2C d"


def test_a_finding_is_an_annotation() -> None:
    text = render(report(finding(), finding(severity=Severity.WARNING), finding(severity=Severity.INFO)))
    assert text.splitlines()[0] == (
        "::error file=net.py,line=3,title=PS101 module-in-container::It is hidden.%0ARegister it."
    )
    assert [line.partition(" ")[0] for line in text.splitlines()[:3]] == ["::error", "::warning", "::notice"]
    assert text.splitlines()[3:] == ["paramscope: net.py:Net: 1 error, 1 warning, 1 info"]


def test_a_finding_without_a_line_is_shown_at_the_target() -> None:
    (line, _) = render(report(finding(location=None))).splitlines()
    assert line.startswith("::error file=net.py,line=1,title=")
    (line, _) = render(report(finding(location=None), target="package.net:Net")).splitlines()
    assert line.startswith("::error title=")


def test_the_worst_ten_and_a_count_of_the_rest() -> None:
    every = [finding(severity=Severity.INFO)] * 4 + [finding(severity=Severity.WARNING)] * 8 + [finding()] * 3
    lines = render(report(*every)).splitlines()
    commands = [line.partition(" ")[0] for line in lines if line.startswith("::")]
    assert commands == ["::error"] * 3 + ["::warning"] * 7
    assert lines[10:] == [
        "… and 1 warning, 4 infos more, which are not annotated",
        "paramscope: net.py:Net: 3 errors, 8 warnings, 4 infos",
    ]


@given(REPORTS)
def test_whatever_is_found_is_as_many_commands_and_no_others(drawn: Report) -> None:
    commands = [each for line in lines_of(render(drawn)) if (each := read_command(line)) is not None]
    assert len(commands) == min(10, len(drawn.findings))
    for command, properties, message in commands:
        assert command in ("error", "warning", "notice")
        # A place is both or neither.
        assert set(properties) in ({"title"}, {"file", "line", "title"})
        assert properties.get("line", "1").isdecimal()
        assert "\x1b" not in message


def cells_of(row: str) -> list[str]:
    """As GitHub splits a row: at pipes without a backslash."""
    return re.split(r"(?<!\\)\|", row)[1:-1]


@given(REPORTS)
def test_the_summary_is_one_table_that_nothing_breaks_out_of(drawn: Report) -> None:
    lines = job_summary([Checked(drawn)]).split("\n")
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == (2 + len(drawn.findings) if drawn.findings else 0)
    assert all(len(cells_of(row)) == 4 for row in rows)
    for line in lines:
        assert len(lines_of(line)) == 1
        assert not re.search(r"<(?!br>)", line)


@given(WORDS)
def test_markdown_is_escaped(words: str) -> None:
    shown = escape_markdown(words)
    without = re.sub(r"\\[!-/:-@\[-`{-~]|&(?:amp|lt|gt|#124|#46);", "", shown)
    assert not set("\\`*_{}[]()#<>|~$@:!&\n\r") & set(without), shown
    assert "www." not in shown


def test_hostile_words_end_no_command_and_begin_none() -> None:
    text = render(report(finding(message=HOSTILE, help=HOSTILE, location=Location(HOSTILE, 1)), target=HOSTILE))
    commands = [each for line in lines_of(text) if (each := read_command(line)) is not None]
    assert len(commands) == 1
    assert commands[0][1]["line"] == "1"


def test_the_summary_is_added_to_the_file_that_the_job_names(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "summary.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    assert run("check", "models.py:hidden", "--select", "PS101", "-f", "github") == 1
    out = capsys.readouterr().out
    assert f"::error file=models.py,line={line_of(folder, 'self.layers')},title=PS101" in out
    text = (folder / "summary.md").read_text()
    assert text.startswith("before\n### paramscope\n")
    assert "| error | PS101 module-in-container |" in text


def test_a_summary_that_cannot_be_written_is_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "nowhere/summary.md")
    assert run("check", "models.py:clean", "--select", "PS101", "-f", "github") == 0
    assert "warning: GITHUB_STEP_SUMMARY cannot be written: No such file" in capsys.readouterr().err
