"""Where ranks differ, as the rules of ranks ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from paramscope import text
from paramscope.rules.facts import Facts
from paramscope.rules.naming import on_ranks
from paramscope.snapshot import Compared, RankDifference, Spans, numbers_in


class Fewer(NamedTuple):
    """What some ranks say otherwise than most."""

    spans: Spans
    words: str
    paths: tuple[str, ...]
    """Of the place, on each of them."""


def differences(facts: Facts, *kinds: Compared) -> list[RankDifference]:
    """Those of some kinds; none where ranks were not asked together."""
    ranks = facts.snapshot.ranks
    return [each for each in ranks.differences if each.kind in kinds] if ranks is not None else []


def most(difference: RankDifference) -> str:
    """The ranks that most agree with: `ranks 0-1,3`."""
    return text.ranks(numbers_in(difference.said[0][0]))


def fewer(difference: RankDifference) -> Iterator[Fewer]:
    """What the others say."""
    for spans, words in difference.said[1:]:
        yield Fewer(spans, words, on_ranks(spans, difference.path))
