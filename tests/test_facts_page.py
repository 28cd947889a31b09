"""docs/facts.md says what the docstrings say today, and names every question that a rule can ask."""

from __future__ import annotations

import pytest

from docs.facts import PAGE, members, page
from paramscope.rules.facts import Facts


def test_the_page_is_what_the_docstrings_say_today() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "`make docs` writes it anew"


def test_every_question_is_answered_in_words() -> None:
    listed = {each.signature.partition("(")[0].partition(":")[0]: each.doc for each in members(Facts)}
    public = {name for name in vars(Facts) if not name.startswith("_")}
    assert public | {"snapshot", "slots", "modules", "optimizers"} == set(listed)
    assert [name for name, doc in listed.items() if not doc] == []


@pytest.mark.parametrize("heading", ["Questions", "What a rule yields"])
def test_the_page_has_its_parts(heading: str) -> None:
    assert f"\n## {heading}\n" in page()
