"""What an SVG of Graphviz shows, read from the file alone: texts with their boxes, nodes with theirs."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import NamedTuple

from wcwidth import wcswidth

SVG = "{http://www.w3.org/2000/svg}"
EM = 0.6
"""Width of a character in font sizes: as wide as any common sans-serif font is on average."""


class Label(NamedTuple):
    """One line of text."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float

    def overlaps(self, other: Label) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


class Picture:
    """One SVG. Raises ParseError where it is not well-formed."""

    def __init__(self, svg: str) -> None:
        self.root = ET.fromstring(svg.encode())
        _, _, self.width, self.height = map(float, self.root.attrib["viewBox"].split())
        self.nodes = [group for group in self.root.iter(f"{SVG}g") if group.get("class") == "node"]
        self.edges = [group for group in self.root.iter(f"{SVG}g") if group.get("class") == "edge"]
        self.labels = labels(self.root)

    def smallest(self, shown_at: float = 1600) -> float:
        """The smallest font in pixels, where the picture is shown at a width."""
        return min(label.size for label in self.labels) * shown_at / self.width

    def overlapping(self) -> list[tuple[str, str]]:
        """Texts that meet."""
        found = []
        for i, one in enumerate(self.labels):
            found += [(one.text, other.text) for other in self.labels[i + 1 :] if one.overlaps(other)]
        return found

    def node(self, title: str) -> ET.Element:
        """The node whose first line is given."""
        (found,) = [node for node in self.nodes if labels(node)[0].text == title]
        return found


def labels(element: ET.Element) -> list[Label]:
    """The texts in an element."""
    found = []
    for text in element.iter(f"{SVG}text"):
        told = (text.text or "").replace("\N{NO-BREAK SPACE}", " ")
        size, x, y = (float(text.attrib[name]) for name in ("font-size", "x", "y"))
        wide = max(wcswidth(told), 0) * EM * size
        left = x - {"start": 0, "middle": wide / 2, "end": wide}[text.get("text-anchor", "start")]
        found.append(Label(told, left, y - 0.8 * size, left + wide, y + 0.2 * size, size))
    return found


def outline(node: ET.Element) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of what is drawn for a node."""
    points: list[tuple[float, float]] = []
    for shape in node.iter():
        if shape.tag in (f"{SVG}polygon", f"{SVG}path", f"{SVG}polyline"):
            drawn = shape.get("points") or shape.get("d") or ""
            points += [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", drawn)]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)
