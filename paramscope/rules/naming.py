"""How messages name places: placeholders for their paths."""

from __future__ import annotations

import itertools

from paramscope import text
from paramscope.snapshot import Spans

_TOLD = 3
"""Paths that a message names before it counts the rest."""

_RANKS = 64
"""Ranks that a finding names; its message names all."""

BRACE = "\ue000"
"""Stands in a template for a brace that begins no placeholder; a name that holds it shows it spelled out."""


def literal(words: str) -> str:
    """A name that is the user's to choose, as it stands in a template, whatever it looks like."""
    return unbraced(text.name(words))


def unbraced(words: str) -> str:
    """Words of ours, with code in them, as they stand in a template: none of their braces begins a placeholder."""
    return words.replace("{", BRACE)


def on_ranks(spans: Spans, path: str) -> tuple[str, ...]:
    """Paths of one place on each of some ranks: `rank[2].head.weight`; of very many ranks the first."""
    numbers = itertools.islice((rank for first, last in spans for rank in range(first, last + 1)), _RANKS)
    return tuple(f"rank[{rank}].{path}".rstrip(".") for rank in numbers)


def placeholders(end: int, first: int = 0) -> str:
    """`{0} and {1}` for paths from the first one to before the end; past the third how many more."""
    shown = [f"{{{at}}}" for at in range(first, min(end, _TOLD))]
    if end > _TOLD:
        shown.append(f"{end - _TOLD:,} more")
    return text.listed(shown)
