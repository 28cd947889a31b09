"""GitHub's problem matcher, applied to what a check really prints, as GitHub's runner applies it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.check_models import line_of, model_folder
from support.targets import run

folder = model_folder
FILE = Path(__file__).parent.parent / ".github" / "paramscope-matcher.json"
MATCHERS: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))["problemMatcher"]
MODEL = """
class Net(Both):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(5, 4, padding_idx=0)

def build():
    net = Net()
    setattr(net, "out" + "side", net.plain.mask)
    return net
"""


def annotated(lines: list[str]) -> Iterator[dict[str, str | None]]:
    """What the runner makes of them: each pattern has to match the line after the one before."""
    for matcher in MATCHERS:
        patterns = [re.compile(each["regexp"]) for each in matcher["pattern"]]
        for at in range(len(lines)):
            found = [pattern.search(line) for pattern, line in zip(patterns, lines[at:], strict=False)]
            if len(found) < len(patterns) or None in found:
                continue
            said: dict[str, str | None] = {"severity": matcher.get("severity")}
            for match, each in zip(found, matcher["pattern"], strict=True):
                said |= {name: match[group] for name, group in each.items() if name != "regexp" and match is not None}
            yield said


@pytest.mark.parametrize("color", ["", "1"])
def test_each_finding_is_an_annotation_at_its_line(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, color: str
) -> None:
    path = folder / "models.py"
    path.write_text(path.read_text() + MODEL)
    monkeypatch.setenv("FORCE_COLOR", color)
    monkeypatch.delenv("COLUMNS")
    assert run("check", "models.py:build", "models.py:clean", "--select", "PS101,PS104,PS205", "--verbose") == 1
    # The runner looks at lines without their colours.
    out = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)
    found = {f"{each['severity']} {each['code']}": each for each in annotated(out.splitlines())}
    assert {*found} == {
        "error PS101 module-in-container",
        "warning PS104 plain-tensor-attribute",
        "notice PS205 untrained-rows",
    }
    assert len([*annotated(out.splitlines())]) == sum(
        ": error " in x or ": warning " in x or ": info " in x for x in out.splitlines()
    )
    hidden, rows = found["error PS101 module-in-container"], found["notice PS205 untrained-rows"]
    assert (hidden["file"], hidden["line"]) == ("models.py", str(line_of(folder, "self.layers")))
    assert (hidden["message"] or "").startswith("A plain container hides hidden.layers[0]")
    assert (rows["file"], rows["line"]) == ("models.py", str(line_of(folder, "self.emb = ")))
    places = [(each["file"], each["line"]) for each in annotated(out.splitlines()) if each["severity"] == "warning"]
    assert ("models.py", str(line_of(folder, "self.mask"))) in places


def test_the_runner_accepts_it() -> None:
    """As its IssueMatchersConfig.Validate: owners differ, the last pattern alone has a message, severities are its own."""
    assert len({each["owner"] for each in MATCHERS}) == len(MATCHERS)
    for matcher in MATCHERS:
        *others, last = matcher["pattern"]
        assert "message" in last
        assert not any("message" in each for each in others)
        assert matcher.get("severity", "error") in ("error", "warning", "notice")
        for each in matcher["pattern"]:
            groups = re.compile(each["regexp"]).groups
            assert all(0 < number <= groups for name, number in each.items() if name != "regexp")
