"""The README: its demonstration is what the program prints, and its fixtures' reports are sound JSON."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import jsonschema
import pytest
from support.targets import run

from paramscope import Report
from paramscope.wire.schema import SCHEMA_FILE

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
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


# What stands between the markers of each name in the README.
DEMONSTRATIONS = {
    "demo": ("inspect", "fixtures/vit.py:build", "-O", "fixtures/vit.py:adam"),
    "unseen": ("inspect", "fixtures/unseen.py:build"),
    "tree": ("inspect", "fixtures/finetune.py:build", "-O", "fixtures/finetune.py:adamw", "--bars"),
    "run": ("inspect", "fixtures/vit.py:build", "--input-size", "1,3,256,256"),
    "diff": ("diff", "fixtures/backbone.py:frozen", "fixtures/backbone.py:unfrozen", "-O", "adam_of_trainable"),
    "cost": ("inspect", "fixtures/finetune.py:build", "-O", "fixtures/finetune.py:adamw", "--cost"),
    "optimizer": ("inspect", "fixtures/finetune.py:build", "-O", "fixtures/finetune.py:adamw", "-f", "optimizer"),
}


@pytest.mark.usefixtures("at_root")
@pytest.mark.parametrize("name", DEMONSTRATIONS)
def test_the_demonstration_is_what_the_program_prints(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*DEMONSTRATIONS[name]) == 0
    printed = f"<!-- {name}:start -->\n```\n{capsys.readouterr().out}```\n<!-- {name}:end -->"
    text = README.read_text(encoding="utf-8")
    block = re.compile(rf"<!-- {name}:start -->.*<!-- {name}:end -->", re.DOTALL)
    if UPDATE:
        README.write_text(block.sub(lambda _: printed, text), encoding="utf-8")
        text = README.read_text(encoding="utf-8")
    match = block.search(text)
    assert match is not None
    assert match[0] == printed, "PARAMSCOPE_UPDATE_GOLDENS=1 writes it anew"


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


DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "decisions").glob("*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_files_that_are_there(document: Path) -> None:
    prose = re.sub(r"(?s)```.*?```", "", document.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)#:]+)\)", prose):
        assert (document.parent / link).exists(), f"{document.name} links to {link}"


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
