"""The pictures of the documentation show what the program draws today."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "pictures"


def script() -> ModuleType:
    """What `make pictures` runs."""
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "docs" / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PICTURES, CHARTS = script().PICTURES, script().CHARTS


@pytest.mark.parametrize("name", PICTURES)
def test_no_picture_is_stale(name: str) -> None:
    report = PICTURES[name]()
    assert report.render("dot") == (FOLDER / f"{name}.dot").read_text(encoding="utf-8"), "run: make pictures"
    # Where things stand is for Graphviz to say, and another one says otherwise; the words are ours.
    drawn = report.render("svg")
    assert isinstance(drawn, str)
    assert words(drawn) == words((FOLDER / f"{name}.svg").read_text(encoding="utf-8")), "run: make pictures"


@pytest.mark.parametrize("name", CHARTS)
def test_no_chart_is_stale(name: str) -> None:
    assert CHARTS[name]() == (FOLDER / f"{name}.svg").read_text(encoding="utf-8"), "run: make pictures"


def words(svg: str) -> list[str]:
    """Every text in a picture."""
    found = sorted(re.findall(r"<text[^>]*>([^<]*)</text>", svg))
    assert found
    return found


def test_the_folder_holds_nothing_else() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == {*PICTURES, *CHARTS, "page"}


def test_the_screenshot_is_of_todays_page() -> None:
    made = script()
    assert made.digest(made.page()) == (FOLDER / "page.sha256").read_text(encoding="utf-8").strip(), (
        "run: make pictures"
    )
    assert (FOLDER / "page.png").read_bytes().startswith(b"\x89PNG")
