"""SARIF: valid by the published schema, stable fingerprints, both places of a finding, suppressions with reasons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from support.check_models import forget_imports, line_of, model_folder, write_models
from support.drawn_findings import HOSTILE, REPORTS, finding, rendering, report
from support.targets import run

from paramscope import Location, Report, Severity, Skipped
from paramscope.exceptions.checked import Checked
from paramscope.render.ci.sarif import message_text, render_checks
from paramscope.rules.choice import on_snapshots
from paramscope.rules.discovery import discover

render = rendering("sarif")

folder = model_folder
# As the SARIF authors publish it for validators; the file is theirs, unchanged.
SCHEMA = json.loads((Path(__file__).parent / "data" / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft4Validator(SCHEMA)


def valid(text: str) -> dict[str, Any]:
    """The only run of a valid log."""
    log = json.loads(text)
    VALIDATOR.validate(log)
    assert len(log["runs"]) == 1
    run_: dict[str, Any] = log["runs"][0]
    return run_


def test_the_schema_refuses_what_is_wrong() -> None:
    log = json.loads(render(report(finding())))
    log["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(log)


def test_a_result_has_both_places() -> None:
    run_ = valid(render(report(finding(paths=("0.weight", "0.bias")))))
    (result,) = run_["results"]
    assert (result["ruleId"], result["level"]) == ("PS101", "error")
    assert run_["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "PS101"
    (location,) = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "net.py", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 3},
    }
    assert [each["fullyQualifiedName"] for each in location["logicalLocations"]] == ["0.weight", "0.bias"]
    assert result["message"]["text"] == "It is hidden. Register it."


def test_every_rule_is_described() -> None:
    rules = valid(render(report()))["tool"]["driver"]["rules"]
    assert [each["id"] for each in rules] == [loaded.rule.code for loaded in on_snapshots(discover().rules)]
    for each in rules:
        assert each["shortDescription"]["text"]
        assert each["help"]["markdown"].startswith(f"# {each['id']}: {each['name']}\n")
        assert each["defaultConfiguration"]["level"] in ("error", "warning", "note")


def test_a_finding_of_a_rule_that_is_not_installed_is_described_by_its_name() -> None:
    run_ = valid(render(report(finding(code="ZZ999", severity=Severity.INFO))))
    (result,) = run_["results"]
    assert result["level"] == "note"
    assert run_["tool"]["driver"]["rules"][result["ruleIndex"]] == {"id": "ZZ999", "name": "module-in-container"}


def test_without_a_line_the_class_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A parameter that was put there from outside its class has no line of its own."""
    (folder / "outside.py").write_text(
        "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.lin = nn.Linear(2, 2)\n\n\ndef build():\n    net = Net()\n"
        "    setattr(net, 'ma' + 'sk', torch.ones(3))\n    return net\n"
    )
    run("check", "outside.py:build", "--select", "PS104", "-f", "sarif")
    (result,) = valid(capsys.readouterr().out)["results"]
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"]["uri"] == "outside.py"
    assert physical["region"]["startLine"] in range(5, 9)


def test_fingerprints_stay_while_lines_move(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def results() -> list[dict[str, Any]]:
        forget_imports()
        assert run("check", "models.py:both", "--select", "PS101,PS104", "-f", "sarif") == 1
        return valid(capsys.readouterr().out)["results"]

    before = results()
    path = folder / "models.py"
    path.write_text("# one more line\n" + path.read_text())
    after = results()
    assert [each["partialFingerprints"] for each in before] == [each["partialFingerprints"] for each in after]
    assert len({str(each["partialFingerprints"]) for each in before}) == 2
    lines = [
        [each["locations"][0]["physicalLocation"]["region"]["startLine"] for each in some] for some in (before, after)
    ]
    assert [line + 1 for line in lines[0]] == lines[1]


def test_accepted_findings_are_suppressed_with_their_reasons(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_models(folder, inline="# paramscope: ignore[PS101] hidden on purpose")
    (folder / "pyproject.toml").write_text(
        "[tool.paramscope]\nignore = [{code = 'PS104', reason = 'filled by the loader'}]\n"
    )
    assert run("check", "models.py:both", "--select", "PS101,PS104", "-f", "sarif") == 0
    results = valid(capsys.readouterr().out)["results"]
    line = line_of(folder, "nn.Linear(4, 4),")
    assert [each["suppressions"] for each in results] == [
        [{"kind": "inSource", "justification": f"hidden on purpose (models.py:{line})"}],
        [{"kind": "external", "justification": "filled by the loader (pyproject.toml: ignore[0])"}],
    ]


def test_several_targets_are_one_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "models.py:hidden", "models.py:both", "--select", "PS101", "-f", "sarif") == 1
    results = valid(capsys.readouterr().out)["results"]
    assert [each["properties"]["target"] for each in results] == ["models.py:hidden", "models.py:both"]
    assert len({str(each["partialFingerprints"]) for each in results}) == 2


def test_what_was_skipped_is_a_notification() -> None:
    run_ = valid(render(report(skipped=(Skipped("PS401", "no optimizer was given"),))))
    (notification,) = run_["invocations"][0]["toolExecutionNotifications"]
    assert notification["descriptor"] == {"id": "PS401"}
    assert "no optimizer was given" in notification["message"]["text"]


@settings(deadline=None, max_examples=40)
@given(REPORTS)
def test_whatever_is_found_is_valid(drawn: Report) -> None:
    # Without the rules' documentation, which is always the same and takes long to validate.
    results = valid(render_checks([Checked(drawn)]))["results"]
    assert len(results) == len(drawn.findings) + len(drawn.ignored)
    prints = [each["partialFingerprints"]["paramscope/v1"] for each in results]
    assert len(set(prints)) == len(prints)


def test_names_are_neither_placeholders_nor_links() -> None:
    assert message_text("set{0} [a](http://x)") == "set{{0}} [a\\](http://x)"
    (result,) = valid(render(report(finding(message=HOSTILE, location=Location("a b#%?.py", 1)))))["results"]
    assert "\x1b" not in result["message"]["text"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a%20b%23%25%3F.py"
