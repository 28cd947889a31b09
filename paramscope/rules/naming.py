"""How messages name places: placeholders for their paths."""

from __future__ import annotations

from paramscope import text

_TOLD = 3
"""Paths that a message names before it counts the rest."""

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
