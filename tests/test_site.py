"""The site: its pages do what they say, its links lead somewhere, and a reader finds the way."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch.distributed.fsdp as fsdp
import yaml
from support.followed import as_it_is_today
from support.forking import COMMAND, run, run_pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
UPDATE = os.environ.get("PARAMSCOPE_UPDATE_GOLDENS") == "1"
# Pages whose files are written, whose code is run, and whose commands print what they show.
RUN = ["index.md", "tour.md", "explained.md", "coming-from.md", "json.md"]
RUN += sorted(f"how-to/{path.name}" for path in (DOCS / "how-to").glob("*.md"))
_SHARDED = pytest.mark.skipif(not hasattr(fsdp, "fully_shard"), reason="this torch has FSDP2 elsewhere (before 2.6)")
_FENCE = re.compile(r"(?ms)^(`{3,}).*?^\1$")


def shell(command: str, folder: Path) -> str:
    """What a command prints; what it says besides is no traceback."""
    program, *arguments = shlex.split(command)
    if program == "paramscope":
        done = run(COMMAND, *arguments, cwd=folder)
    elif program == "pytest":
        done = run_pytest(*arguments, cwd=folder)
    else:
        assert program == "torchrun", command
        launch = [sys.executable, "-m", "torch.distributed.run", *arguments]
        done = subprocess.run(launch, cwd=folder, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.replace(f"{folder}/", "")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=_SHARDED) if name == "how-to/ranks.md" else name for name in RUN]
)
@pytest.mark.filterwarnings("ignore")
def test_the_page_does_what_it_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "88")
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    today = as_it_is_today(page, tmp_path, module, lambda command: shell(command, tmp_path))
    if UPDATE:
        (DOCS / name).write_text(page := today, encoding="utf-8")
    assert page == today, "PARAMSCOPE_UPDATE_GOLDENS=1 writes it anew"


def pages() -> list[Path]:
    """What a reader may come to."""
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


def prose(page: Path) -> str:
    """A page without its code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Where the relative links and pictures of a page lead, with their anchors."""
    for path, anchor in re.findall(r"\]\(([^()\s#:]*)#?([^()\s:]*)\)", prose(page)):
        yield (page.parent / path).resolve() if path else page, anchor


def anchors(page: Path) -> set[str]:
    """What a page's headings are called in links: by GitHub and mkdocs alike, or they are left out."""
    found = set()
    for heading in re.findall(r"(?m)^#+ (.*)$", prose(page)):
        text = re.sub(r"[^\w\s-]", "", heading.lower()).strip()
        if text.isascii() and not re.search(r"[\s-]{2}", text):
            found.add(re.sub(r"\s", "-", text))
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_to_headings(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to #{anchor} of {target.name}"


def navigation(entries: list[Any], way: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The menu's entries: the headings above and the title, and the page."""
    for entry in entries:
        if isinstance(entry, str):
            yield way, entry
            continue
        for title, below in entry.items():
            if isinstance(below, str):
                yield (*way, title), below
            else:
                yield from navigation(below, (*way, title))


MENU = list(navigation(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))


def test_every_page_stands_in_the_menu_once() -> None:
    listed = [page for _, page in MENU]
    assert len(listed) == len(set(listed))
    # A rule's page is led to by the list of rules.
    written = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if not path.stem.startswith("PS")}
    assert set(listed) - {"CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"} == written


def test_a_newcomer_finds_how_to_freeze_a_backbone_in_two_clicks() -> None:
    ((way, page),) = ((way, page) for way, page in MENU if "Freeze a backbone and prove it in CI" in way)
    assert way[0] == "How to"
    assert MENU[0][1] == "index.md"
    # From the menu, which every page has, and from the text of the first page.
    assert len(way) <= 2
    assert (DOCS / page).resolve() in [target for target, _ in links(DOCS / "index.md")]


def test_the_plugins_are_shown_as_they_are() -> None:
    page = (DOCS / "extending.md").read_text(encoding="utf-8")
    named = re.findall(r"(?ms)^`([\w/.]+)`[^`]*:\n\n(`{3,})\w+\n(.*?)^\2$", page)
    assert len(named) == 4
    for path, _, code in named:
        whole = (ROOT / path).read_text(encoding="utf-8")
        assert code == whole if path.endswith(".py") else code in whole, path


def test_the_chinese_readme_shows_the_same_code() -> None:
    english, chinese = (
        [found[0] for found in _FENCE.finditer((ROOT / name).read_text(encoding="utf-8"))]
        for name in ("README.md", "README.zh-CN.md")
    )
    assert len(english) > 2
    assert chinese == english
    for name, other in (("README.md", "README.zh-CN.md"), ("README.zh-CN.md", "README.md")):
        first = (ROOT / name).read_text(encoding="utf-8").partition("\n## ")[0]
        assert f"]({other})" in first
