"""Unmet expectations → one message that fits a screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

MOST_LINES = 20
"""Lines of a message; what is beyond is counted."""
MOST_GLOBS = 4
"""Globs that a headline repeats."""


class Unmet(NamedTuple):
    """One expectation that does not hold."""

    headline: str
    details: tuple[str, ...] = ()
    """A line for each (folded) parameter."""
    is_composition: bool = False
    """Whether the details only say what the model is made of: they give way to what changed."""


def quoted(keyword: str, globs: Sequence[str]) -> str:
    """`frozen=['encoder.*', '*.bias']`, the first few of many."""
    shown = [repr(glob) for glob in globs[:MOST_GLOBS]]
    more = [f"… and {len(globs) - MOST_GLOBS} more"] if len(globs) > MOST_GLOBS else []
    return f"{keyword}=[{', '.join(shown + more)}]"


def failure_text(unmet: Sequence[Unmet], comparison: Unmet | None) -> str:
    """The message: every headline, and under each as many of its details as there is room for.

    comparison: what changed since a reference; what is said already is not said again.
    """
    sections = list(unmet)
    if comparison:
        sections = [each._replace(details=()) if each.is_composition else each for each in sections]
        said = {line for section in sections for line in section.details}
        fresh = tuple(line for line in comparison.details if line not in said)
        if fresh:
            sections.append(comparison._replace(details=fresh))
    lines = []
    for section, room in zip(sections, _rooms(sections), strict=True):
        lines.append(section.headline)
        shown = section.details[:room]
        lines += ["  " + line for line in shown]
        if len(shown) < len(section.details):
            lines.append(f"  … and {len(section.details) - len(shown):,} more")
    return "\n".join(lines)


def _rooms(sections: Sequence[Unmet]) -> list[int]:
    """How many details each section may show: short ones all, long ones an equal share of the rest."""
    rooms = [0] * len(sections)
    left = MOST_LINES - len(sections)
    by_length = sorted(range(len(sections)), key=lambda i: len(sections[i].details))
    for done, index in enumerate(by_length):
        wish = len(sections[index].details)
        share = max(2, left // (len(sections) - done))
        # A section that is cut takes one more line to say so.
        rooms[index] = wish if wish <= share else max(1, share - 1)
        left -= min(wish, share)
    return rooms
