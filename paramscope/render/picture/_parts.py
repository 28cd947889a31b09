"""What a picture of a model is made of, before it becomes DOT or Mermaid: boxes, links, a legend, notes."""

from __future__ import annotations

from typing import Literal, NamedTuple

Look = Literal[
    "trainable", "frozen", "mixed", "unstepped", "hidden", "plain", "tensor", "tied", "aliased", "storage", "group"
]
"""What a box looks like. No two looks differ in colour alone: see the renderers."""
LinkKind = Literal["contains", "contains-hidden", "holds", "holds-shared", "holds-hidden", "views", "steps"]

MEANINGS: dict[Look, str] = {
    "trainable": "module, trainable",
    "frozen": "frozen",
    "mixed": "partly frozen",
    "unstepped": "in no optimizer group",
    "hidden": "hidden, not registered",
    "plain": "no parameters",
    "tensor": "a tensor",
    "tied": "tied, one tensor in several slots",
    "aliased": "tensors over shared memory",
    "storage": "the shared bytes",
    "group": "optimizer group",
}
GLYPHS = {"trainable": "●", "frozen": "○", "hidden": "◊", "buffer": "□", "attribute": "▫", "unknown": "?"}
"""What stands before a tensor, by its status; all of them in the fonts that every system has."""
FOUND, STEPPED = "▲", "→"
"""What stands before the code of a finding, and before the letter of the group that steps a tensor."""


class Box(NamedTuple):
    """One node of the picture."""

    name: str
    """Its node in the graph; unique."""
    look: Look
    title: tuple[str, ...]
    """Lines that name it."""
    lines: tuple[str, ...]
    """Lines that tell of it. What stands in a box is printable, and cut to a width."""
    tip: str
    """Its whole path and type, for who points at it."""
    level: int
    """Steps from the roots."""
    marks: frozenset[str]
    """Of GLYPHS, FOUND and STEPPED those that stand in the lines."""


class Link(NamedTuple):
    """One edge of the picture."""

    tail: str
    head: str
    kind: LinkKind


class Scene(NamedTuple):
    """A picture, but for where everything stands."""

    title: str
    boxes: tuple[Box, ...]
    links: tuple[Link, ...]
    legend: tuple[tuple[str, str], ...]
    """(a look or a glyph, what it means), for all that the picture uses."""
    notes: tuple[str, ...]
    """What the picture does not show, and how to see it."""
