"""How messages name places: placeholders for their paths, and what paths have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence

from paramscope import text

_TOLD = 3
"""Paths that a message names before it counts the rest."""
_NUMBER = re.compile(r"\d+")


BRACE = "\ue000"
"""Stands in a template for a brace that begins no placeholder; a name that holds it shows it spelled out."""


def literal(words: str) -> str:
    """A name that is the user's to choose, as it stands in a template, whatever it looks like."""
    return unbraced(text.name(words))


def unbraced(words: str) -> str:
    """Words of ours, with code in them, as they stand in a template: none of their braces begins a placeholder."""
    return words.replace("{", BRACE)


def placeholders(end: int, first: int = 0) -> str:
    """`{0} and {1}` for paths from the first one to before the end; past the third how many more."""
    shown = [f"{{{at}}}" for at in range(first, min(end, _TOLD))]
    if end > _TOLD:
        shown.append(f"{end - _TOLD:,} more")
    return text.listed(shown)


def numberless(path: str) -> str:
    """A path in which all numbers are one: that of a place among siblings."""
    return _NUMBER.sub("#", path)


def heads(paths: Sequence[str]) -> tuple[str, ...]:
    """What is left of paths without the last names that all of them end in: of all that two modules have in common,
    these modules."""
    steps = [path.split(".") for path in paths]
    same = 0
    while all(len(each) > same + 1 for each in steps) and len({each[-1 - same] for each in steps}) == 1:
        same += 1
    return tuple(".".join(each[: len(each) - same]) for each in steps)
