"""GitLab's code quality report: the fields that it asks for, stable fingerprints, and a path for every finding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from support.check_models import forget_imports, line_of, model_folder
from support.drawn_findings import HOSTILE, REPORTS, finding, rendering, report
from support.targets import run

from paramscope import Report, Severity
from paramscope.exceptions.checked import Checked
from paramscope.render.ci.gitlab import render_checks

render = rendering("gitlab")
folder = model_folder

# As https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format lists them.
FIELDS = {
    "description": {"type": "string", "minLength": 1},
    "check_name": {"type": "string"},
    "fingerprint": {"type": "string", "minLength": 1},
    "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
    "location": {
        "type": "object",
        "required": ["path", "lines"],
        "properties": {
            "path": {"type": "string", "pattern": "^(?!\\./)"},
            "lines": {
                "type": "object",
                "required": ["begin"],
                "properties": {"begin": {"type": "integer", "minimum": 1}},
            },
        },
    },
}
VALIDATOR = jsonschema.Draft202012Validator(
    {
        "type": "array",
        "items": {"type": "object", "required": [*FIELDS], "properties": FIELDS, "additionalProperties": False},
    }
)


def issues(text: str) -> list[dict[str, Any]]:
    """Those of a valid report, no two of which GitLab takes for one."""
    found: list[dict[str, Any]] = json.loads(text)
    VALIDATOR.validate(found)
    assert len({each["fingerprint"] for each in found}) == len(found)
    return found


def test_an_issue_has_what_gitlab_asks_for() -> None:
    (issue,) = issues(render(report(finding())))
    assert len(issue.pop("fingerprint")) == 32
    assert issue == {
        "description": "PS101 module-in-container: It is hidden. Register it.",
        "check_name": "PS101",
        "severity": "major",
        "location": {"path": "net.py", "lines": {"begin": 3}},
    }
    every = (finding(severity=each) for each in (Severity.ERROR, Severity.WARNING, Severity.INFO))
    assert [each["severity"] for each in issues(render(report(*every)))] == ["major", "minor", "info"]


def test_nothing_found_is_an_empty_list() -> None:
    assert issues(render(report(ignored=(finding(),)))) == []


def test_without_a_line_the_target_is_shown_and_said_to_be_innocent() -> None:
    (issue,) = issues(render(report(finding(location=None))))
    assert issue["location"] == {"path": "net.py", "lines": {"begin": 1}}
    assert "The line to blame is not known" in issue["description"]
    (issue,) = issues(render(report(finding(location=None), target="package.net:Net")))
    assert issue["location"] == {"path": "package.net:Net", "lines": {"begin": 1}}
    saved = Checked(report(finding(location=None), target=None), file="rank0.json")
    (issue,) = issues(render_checks([saved]))
    assert issue["location"]["path"] == "rank0.json"


def test_two_saved_reports_of_one_target_keep_all_of_their_issues() -> None:
    twice = report(finding(), finding())
    assert len(issues(render_checks([Checked(twice, file="a.json"), Checked(twice, file="b.json")]))) == 4


def test_files_are_named_from_the_root_of_the_checkout_wherever_it_is_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inner = folder / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    target = "../models.py:both"
    for variable in ("CI_PROJECT_DIR", "GITHUB_WORKSPACE"):
        monkeypatch.setenv(variable, str(folder))
    run("check", target, "-f", "gitlab")
    assert {each["location"]["path"] for each in issues(capsys.readouterr().out)} == {"models.py"}
    run("check", target, "-f", "github")
    assert "::error file=models.py,line=" in capsys.readouterr().out
    run("check", target, "-f", "sarif")
    results = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    named = {each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in results}
    assert named == {"models.py"}
    # What lies elsewhere is shown as it is.
    monkeypatch.setenv("CI_PROJECT_DIR", str(inner))
    run("check", target, "-f", "gitlab")
    assert {each["location"]["path"] for each in issues(capsys.readouterr().out)} == {str(folder / "models.py")}


def test_fingerprints_stay_while_lines_move(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def checked() -> list[dict[str, Any]]:
        forget_imports()
        assert run("check", "models.py:both", "--select", "PS101,PS104", "-f", "gitlab") == 1
        return issues(capsys.readouterr().out)

    before = checked()
    assert [each["location"] for each in before] == [
        {"path": "models.py", "lines": {"begin": line_of(folder, text)}}
        for text in ("self.layers = ", "self.mask = ")
    ]
    path = folder / "models.py"
    path.write_text("# one more line\n" + path.read_text())
    after = checked()
    assert [each["fingerprint"] for each in before] == [each["fingerprint"] for each in after]
    assert before != after


@given(REPORTS)
def test_whatever_is_found_is_valid(drawn: Report) -> None:
    assert len(issues(render(drawn))) == len(drawn.findings)


def test_hostile_words_are_plain() -> None:
    text = render(report(finding(message=HOSTILE, help=HOSTILE), target=HOSTILE))
    (issue,) = issues(text)
    assert "\x1b" not in issue["description"]
    text.encode()
