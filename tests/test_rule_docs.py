"""The rules' documentation: pages are what the docstrings say today, however many rules there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from paramscope.report.finding import Severity
from paramscope.rules.docs import (
    HEADINGS,
    first_sentence,
    own_rules,
    pages,
    sections,
    to_index,
    to_markdown,
    write,
)
from paramscope.rules.rule import Loaded, Rule

ROOT = Path(__file__).parent.parent
RULES = own_rules()
STALE = "`make docs` writes it anew"

DOC = """It finds | this.

What it finds
: One thing
  on two lines.

Why it matters
: - first
  - second

Example
```python
class Net:

    x = [1]
```

Instead
```python
y = 2
```

When it is wrong to follow it
: Never. Well:

  sometimes.
"""


def loaded(code: str = "PS101", doc: str = DOC) -> Loaded:
    """A rule that finds nothing."""
    return Loaded(Rule(code, "some-name", Severity.ERROR, "optimizer"), lambda facts: iter(()), doc, "paramscope")


def test_there_are_rules() -> None:
    assert {"PS101", "PS501"} <= {each.rule.code for each in RULES}


@pytest.mark.parametrize("name", sorted({*pages(RULES), *(path.name for path in (ROOT / "docs/rules").glob("*.md"))}))
def test_a_page_is_what_the_rule_says_today(name: str) -> None:
    path = ROOT / "docs" / "rules" / name
    assert path.exists(), STALE
    assert path.read_text(encoding="utf-8") == pages(RULES).get(name), STALE


@pytest.mark.parametrize("each", RULES, ids=lambda each: each.rule.code)
def test_every_rule_begins_with_one_sentence(each: Loaded) -> None:
    sentence = first_sentence(each.doc)
    assert sentence.endswith("."), each.rule.code
    assert len(sentence) <= 160
    assert [section.heading for section in sections(each.doc)] == ["", *HEADINGS]
    assert all(section.paragraphs for section in sections(each.doc))


def test_links_of_the_pages_lead_somewhere() -> None:
    folder = ROOT / "docs" / "rules"
    for name, page in pages(RULES).items():
        for link in re.findall(r"\]\(([^)#:]+)\)", re.sub(r"```.*?```", "", page, flags=re.DOTALL)):
            assert (folder / link).exists(), f"{name} links to {link}"


def test_a_docstring_is_read() -> None:
    assert [(each.heading, each.paragraphs) for each in sections(DOC)] == [
        ("", ("It finds | this.",)),
        ("What it finds", ("One thing on two lines.",)),
        ("Why it matters", ("- first", "- second")),
        ("Example", ("```python\nclass Net:\n\n    x = [1]\n```",)),
        ("Instead", ("```python\ny = 2\n```",)),
        ("When it is wrong to follow it", ("Never. Well:", "sometimes.")),
    ]


def test_a_page_is_markdown() -> None:
    page = to_markdown(loaded())
    assert page.startswith(
        "# PS101: some-name\n\nSeverity: error · needs an optimizer\n\nIt finds | this.\n\n## What"
    )
    assert "\n\n## Example\n\n```python\nclass Net:\n\n    x = [1]\n```\n\n## Instead\n" in page
    assert page.count("```") == 4


def test_a_pipe_does_not_end_a_cell() -> None:
    (row,) = [line for line in to_index([loaded()]).splitlines() if "some-name" in line]
    assert row.endswith(r"| It finds \| this. |")
    assert len(re.split(r"(?<!\\)\|", row)) == 7


def test_writing_adds_changes_and_removes(tmp_path: Path) -> None:
    write(tmp_path, [loaded("PS101"), loaded("PS102")])
    assert sorted(path.name for path in (tmp_path / "docs/rules").iterdir()) == ["PS101.md", "PS102.md", "index.md"]
    write(tmp_path, [loaded("PS101")])
    assert sorted(path.name for path in (tmp_path / "docs/rules").iterdir()) == ["PS101.md", "index.md"]
