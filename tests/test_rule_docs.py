"""The rules' documentation: pages and table are what the docstrings say today, however many rules there are."""

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
    readme_table,
    sections,
    to_markdown,
    with_table,
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


def test_the_readme_lists_the_rules_of_today() -> None:
    assert readme_table(RULES) in (ROOT / "README.md").read_text(encoding="utf-8"), STALE


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
    (row,) = [line for line in readme_table([loaded()]).splitlines() if "some-name" in line]
    assert row.endswith(r"| It finds \| this. |")
    assert len(re.split(r"(?<!\\)\|", row)) == 7


def test_writing_adds_changes_and_removes(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- rules:start -->\nold\n<!-- rules:end -->\nafter\n")
    write(tmp_path, [loaded("PS101"), loaded("PS102")])
    assert sorted(path.name for path in (tmp_path / "docs/rules").iterdir()) == ["PS101.md", "PS102.md", "index.md"]
    text = readme.read_text()
    assert text.startswith("before\n<!-- rules:start -->\n| code")
    assert text.endswith("<!-- rules:end -->\nafter\n")
    assert "old" not in text
    write(tmp_path, [loaded("PS101")])
    assert sorted(path.name for path in (tmp_path / "docs/rules").iterdir()) == ["PS101.md", "index.md"]
    assert with_table(readme.read_text(), [loaded("PS101")]) == readme.read_text()
    assert "PS102" not in readme.read_text()


def test_a_readme_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="rules:start"):
        with_table("nothing here", RULES)
