"""The one form between the graph and the text of a picture: boxes and links, with their looks and what these mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Look = Literal[
    "trainable", "frozen", "mixed", "unstepped", "hidden", "plain", "tensor", "tied", "aliased", "storage", "group"
]
"""What a box looks like. No two looks differ in colour alone: see the renderers."""
LinkKind = Literal["contains", "contains-hidden", "holds", "holds-shared", "holds-hidden", "views", "steps"]


class Paint(NamedTuple):
    """What the looks of all formats have in common."""

    meaning: str
    color: str
    """Of the border."""
    fill: str


# Okabe and Ito's colours, told apart with any colour vision; beside them every look has its own border or shape.
LOOKS: dict[Look, Paint] = {
    "trainable": Paint("module, trainable", "#0072B2", "#EAF4FB"),
    "frozen": Paint("frozen", "#5A6470", "#EEF0F2"),
    "mixed": Paint("partly frozen", "#0072B2", "#F1F6F9"),
    "unstepped": Paint("in no optimizer group", "#B37400", "#FFF7E3"),
    "hidden": Paint("hidden, not registered", "#C24A00", "#FDEFE6"),
    "plain": Paint("no parameters", "#9AA3AC", "#FFFFFF"),
    "tensor": Paint("a tensor", "#33414E", "#FFFFFF"),
    "tied": Paint("tied, one tensor in several slots", "#A3457E", "#FBEFF6"),
    "aliased": Paint("tensors over shared memory", "#A3457E", "#FBEFF6"),
    "storage": Paint("the shared bytes", "#33414E", "#F4F4EC"),
    "group": Paint("optimizer group", "#007A5A", "#E8F5F0"),
}
GLYPHS = {"trainable": "●", "frozen": "○", "hidden": "◊", "buffer": "□", "attribute": "▫", "unknown": "?"}
"""What stands before a tensor, by its status; all of them in the fonts that every system has."""
FOUND, STEPPED = "▲", "→"
"""What stands before the code of a finding, and before the letter of the group that steps a tensor."""


@dataclass
class Box:
    """One node of the picture: first chosen, then told what stands in it."""

    name: str
    """Its node in the graph; unique. Of a chain of modules that stand in one box, the last."""
    level: int
    """Steps from the roots."""
    above: str | None = None
    """The box of the module that holds this one; None for roots and for what is no module."""
    depth: int = 0
    """Modules above it."""
    inside: list[str] = field(default_factory=list)
    """Modules that stand as lines in it."""
    closed: int = 0
    """Modules below it that are left out."""
    look: Look = "plain"
    title: list[str] = field(default_factory=list)
    """Lines that name it."""
    lines: list[str] = field(default_factory=list)
    """Lines that tell of it. What stands in a box is printable, and cut to a width."""
    tip: str = ""
    """Its whole path and type, for who points at it."""


class Link(NamedTuple):
    """One edge of the picture."""

    tail: str
    head: str
    kind: LinkKind


class Scene(NamedTuple):
    """A picture, but for where everything stands."""

    title: str
    boxes: list[Box]
    links: list[Link]
    notes: list[str]
    """What the picture does not show, and how to see it."""

    @property
    def looks(self) -> list[Look]:
        """Those that boxes have, for the legend."""
        there = {box.look for box in self.boxes}
        return [look for look in LOOKS if look in there]

    @property
    def glyphs(self) -> list[str]:
        """`● trainable`: what those that stand in lines mean, and parentheses around a count, for the legend."""
        meanings = {glyph: status for status, glyph in GLYPHS.items()}
        meanings |= {FOUND: "finding", STEPPED: "stepped by group A"}
        written = "".join(line for box in self.boxes for line in box.lines)
        found = [
            f"{glyph}A {meaning}" if glyph == STEPPED else f"{glyph} {meaning}"
            for glyph, meaning in meanings.items()
            if glyph in written
        ]
        is_again = any(f"{glyph} (" in written for glyph in GLYPHS.values())
        return [*found, *(["elements in parentheses were counted before"] if is_again else [])]
