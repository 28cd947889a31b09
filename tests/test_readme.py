"""The README and the pages: their demonstrations are what the program prints, and the fixtures' reports are sound JSON."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import jsonschema
import pytest
from support.targets import run
from support.versions import as_here

from paramscope import Report
from paramscope.wire.schema import SCHEMA_FILE

ROOT = Path(__file__).parent.parent
UPDATE = os.environ.get("PARAMSCOPE_UPDATE_GOLDENS") == "1"


def builders() -> list[str]:
    """Every builder of every fixture, as a target; but for those that raise on purpose."""
    found = []
    for path in sorted((ROOT / "fixtures").glob("*.py")):
        names = re.findall(r"^def (\w+)\(\) -> .*Module", path.read_text(encoding="utf-8"), flags=re.M)
        found += [f"fixtures/{path.name}:{name}" for name in names]
    return [target for target in found if target not in RAISES]


RAISES = {"fixtures/linear_shapes.py:bare_tensor"}


@pytest.fixture
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory of the README's commands."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "88")


# What stands between the markers of each name, and in which file.
DEMONSTRATIONS = {
    "demo": ("README.md", "inspect", "fixtures/vit.py:build", "-O", "fixtures/vit.py:adam"),
    "check": ("README.md", "check", "fixtures/unseen.py:build"),
    "unseen": ("docs/explained.md", "inspect", "fixtures/unseen.py:build"),
    "tree": (
        "docs/reading.md",
        "inspect",
        "fixtures/finetune.py:build",
        "-O",
        "fixtures/finetune.py:adamw",
        "--bars",
    ),
    "optimizer": (
        *("docs/reading.md", "inspect", "fixtures/finetune.py:build"),
        *("-O", "fixtures/finetune.py:adamw", "-f", "optimizer"),
    ),
    "run": ("docs/runs.md", "inspect", "fixtures/vit.py:build", "--input-size", "1,3,256,256"),
    "diff": (
        *("docs/diff.md", "diff", "fixtures/backbone.py:frozen", "fixtures/backbone.py:unfrozen"),
        *("-O", "adam_of_trainable"),
    ),
    "cost": ("docs/cost.md", "inspect", "fixtures/finetune.py:build", "-O", "fixtures/finetune.py:adamw", "--cost"),
}


@pytest.mark.usefixtures("at_root")
@pytest.mark.parametrize("name", DEMONSTRATIONS)
def test_the_demonstration_is_what_the_program_prints(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    file, *command = DEMONSTRATIONS[name]
    assert run(*command) == (1 if command[0] == "check" else 0)
    printed = f"<!-- {name}:start -->\n```\n{capsys.readouterr().out}```\n<!-- {name}:end -->"
    page = ROOT / file
    text = page.read_text(encoding="utf-8")
    block = re.compile(rf"<!-- {name}:start -->.*<!-- {name}:end -->", re.DOTALL)
    if UPDATE:
        page.write_text(text := block.sub(lambda _: printed, text), encoding="utf-8")
    match = block.search(text)
    assert match is not None
    assert as_here(match[0]) == printed, "PARAMSCOPE_UPDATE_GOLDENS=1 writes it anew"


@pytest.mark.usefixtures("at_root")
@pytest.mark.parametrize("target", builders())
def test_every_fixture_is_sound_json_and_reads_back(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", target, "-f", "json") == 0
    text = capsys.readouterr().out
    jsonschema.validate(json.loads(text), json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    report = Report.from_json(text)
    assert report.to_json() + "\n" == text
    assert report.target == target


def test_every_fixture_file_is_covered() -> None:
    covered = {target.partition(":")[0] for target in builders()}
    assert covered == {f"fixtures/{path.name}" for path in (ROOT / "fixtures").glob("*.py")}


def test_the_architecture_shows_every_room_and_the_decisions_every_record() -> None:
    docs = ROOT / "docs"
    rooms = {path.parent.name for path in (ROOT / "paramscope").glob("*/__init__.py")}
    assert rooms == set(
        re.findall(r"\]\(\.\./paramscope/(\w+)\)", (docs / "architecture.md").read_text(encoding="utf-8"))
    )
    records = {path.name for path in (docs / "decisions").glob("*.md")} - {"README.md"}
    assert records == set(
        re.findall(r"\]\(([\w-]+\.md)\)", (docs / "decisions/README.md").read_text(encoding="utf-8"))
    )
