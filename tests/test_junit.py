"""JUnit XML: a suite for each target, a case for each rule, and nothing that a parser chokes on."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from support.check_models import model_folder
from support.drawn_findings import REPORTS, WORDS, finding, rendering, report
from support.targets import run

from paramscope import Report, Severity, Skipped
from paramscope.errors import FormatError
from paramscope.render.ci.junit import attribute, content
from paramscope.rules.choice import on_snapshots
from paramscope.rules.discovery import discover

render = rendering("junit")

folder = model_folder
CODES = [loaded.rule.code for loaded in on_snapshots(discover().rules)]


def cases(root: ElementTree.Element) -> dict[str, ElementTree.Element]:
    """Test cases by the code that their name begins with."""
    return {case.attrib["name"].split()[0]: case for case in root.iter("testcase")}


def test_a_case_for_each_rule_passed_ones_too() -> None:
    root = ElementTree.fromstring(render(report(finding())))
    found = cases(root)
    assert list(found) == CODES
    failure = found["PS101"].find("failure")
    assert failure is not None
    assert failure.attrib == {"type": "error", "message": "It is hidden."}
    assert failure.text == "net.py:3: error PS101: It is hidden. Register it."
    assert [code for code, case in found.items() if len(case)] == ["PS101"]
    assert (root.attrib["tests"], root.attrib["failures"], root.attrib["skipped"]) == (str(len(CODES)), "1", "0")


def test_skipped_rules_are_skipped_cases() -> None:
    root = ElementTree.fromstring(
        render(report(skipped=(Skipped("PS501", "it crashed"), Skipped("broken", "no rule"))))
    )
    found = cases(root)
    for code, reason in (("PS501", "it crashed"), ("broken", "no rule")):
        skipped = found[code].find("skipped")
        assert skipped is not None
        assert skipped.attrib["message"] == reason
    assert root.attrib["skipped"] == "2"


@pytest.mark.parametrize(
    ("fail_on", "failed"),
    [("error", ["PS101"]), ("warning", ["PS101", "PS501"]), ("never", []), ("info", ["PS101", "PS104", "PS501"])],
)
def test_what_fails_a_case(fail_on: str, failed: list[str]) -> None:
    found = (
        finding(),
        finding(code="PS501", severity=Severity.WARNING),
        finding(code="PS104", severity=Severity.INFO),
    )
    root = ElementTree.fromstring(render(report(*found), fail_on=fail_on))
    assert [code for code, case in cases(root).items() if case.find("failure") is not None] == failed
    told = [code for code, case in cases(root).items() if case.find("system-out") is not None]
    assert sorted(failed + told) == ["PS101", "PS104", "PS501"]


def test_an_unknown_severity_is_refused() -> None:
    with pytest.raises(FormatError, match="fail_on cannot be 'errors'"):
        render(report(), fail_on="errors")


def test_accepted_findings_pass(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pyproject.toml").write_text("[tool.paramscope]\nignore = [{code = 'PS104', reason = 'loader'}]\n")
    assert run("check", "models.py:plain", "models.py:hidden", "--select", "PS101,PS104", "-f", "junit") == 1
    root = ElementTree.fromstring(capsys.readouterr().out)
    suites = list(root)
    assert [(each.attrib["name"], each.attrib["tests"], each.attrib["failures"]) for each in suites] == [
        ("models.py:plain", "2", "0"),
        ("models.py:hidden", "2", "1"),
    ]
    told = cases(suites[0])["PS104"].find("system-out")
    assert told is not None
    assert (told.text or "").endswith("(pyproject.toml: ignore[0]: loader)")


@given(WORDS)
def test_words_read_back(words: str) -> None:
    root = ElementTree.fromstring(f"<a b={attribute(words)}>{content(words)}</a>".encode())
    sound = words.isprintable()
    assert not sound or root.attrib["b"] == words
    assert not sound or (root.text or "") == words


@given(REPORTS)
def test_whatever_is_found_is_well_formed(drawn: Report) -> None:
    root = ElementTree.fromstring(render(drawn).encode("utf-8"))
    failed = {each.code for each in drawn.findings if each.severity >= Severity.WARNING}
    assert int(root.attrib["failures"]) == len(failed) == len(list(root.iter("failure")))
    assert int(root.attrib["tests"]) == len(list(root.iter("testcase")))
