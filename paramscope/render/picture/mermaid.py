"""Report → Mermaid, which GitHub draws in Markdown: the same scene as DOT, within GitHub's limits."""

from __future__ import annotations

import re
from typing import NamedTuple

from paramscope.render.picture._parts import LOOKS, Box, LinkKind, Look, Scene
from paramscope.render.picture._scene import View
from paramscope.report.data import ReportData

MOST_TEXT, MOST_EDGES = 50_000, 500
"""Characters and links of a diagram that GitHub draws: Mermaid's own `maxTextSize` and `maxEdges`."""
FOLDED, UNFOLDED = 60, 480
"""Boxes at most, before the limits are looked at."""
FOLDED_FURTHER = "folded further: GitHub draws no larger diagram"


class _Style(NamedTuple):
    border: str
    """How the legend calls it."""
    line: str = ""
    """Of the border, in CSS."""
    start: str = "["
    end: str = "]"


# Beside its colour every look has its own shape, border or width.
_STYLES: dict[Look, _Style] = {
    "trainable": _Style("solid", ",stroke-width:2px"),
    "frozen": _Style("double sides", "", "[[", "]]"),
    "mixed": _Style("thick", ",stroke-width:5px"),
    "unstepped": _Style("dotted", ",stroke-width:3px,stroke-dasharray:2 4"),
    "hidden": _Style("dashed", ",stroke-width:2px,stroke-dasharray:8 4"),
    "plain": _Style("thin", ",stroke-width:1px"),
    "tensor": _Style("rounded", "", "(", ")"),
    "tied": _Style("hexagon", ",stroke-width:2px", "{{", "}}"),
    "aliased": _Style("round ends", "", "([", "])"),
    "storage": _Style("cylinder", "", "[(", ")]"),
    "group": _Style("flag", ",stroke-width:2px", ">", "]"),
}
_LINKS: dict[LinkKind, str] = {
    "contains": "---",
    "contains-hidden": "-.-",
    "holds": "--o",
    "holds-shared": "==o",
    "holds-hidden": "-.-o",
    "views": "-.->",
    "steps": "==>",
}
# A letter, a digit or one of these stands for itself; anything else might be markup somewhere between Mermaid's
# parser, its Markdown and the page.
_PLAIN = re.compile(r"[^\w .,:/×→●○◊□▫▲…=·]|_")
_LIST_ITEM = re.compile(r"^(\d+)\.")


def render(
    report: ReportData,
    *,
    fold: bool = True,
    depth: int | None = None,
    around: str | None = None,
    only: str | None = None,
) -> str:
    """The graph of a model as a Mermaid flowchart; options as in `paramscope.render.picture.dot`.

    No longer than MOST_TEXT and with no more links than MOST_EDGES: past that it folds further, and says so.
    """
    view = View(report, fold=fold, depth=depth, around=around, only=only)
    boxes, lines = (FOLDED if fold else UNFOLDED), 14
    scene = view.scene(boxes, lines=lines)
    drawn = _flowchart(scene)
    while len(drawn) > MOST_TEXT or len(scene.links) > MOST_EDGES:
        boxes, lines = boxes * 2 // 3, max(3, lines - 2)
        scene = view.scene(boxes, lines=lines)
        drawn = _flowchart(scene._replace(notes=[*scene.notes, FOLDED_FURTHER]))
    return drawn


def _flowchart(scene: Scene) -> str:
    ids = {box.name: f"n{i}" for i, box in enumerate(scene.boxes)}
    lines = ["flowchart LR", f'    legend["{_legend(scene)}"]:::legend']
    lines += [f"    {ids[box.name]}{_node(box)}:::{box.look}" for box in scene.boxes]
    lines += [f"    {ids[link.tail]} {_LINKS[link.kind]} {ids[link.head]}" for link in scene.links]
    for look in dict.fromkeys(box.look for box in scene.boxes):
        css = f"fill:{LOOKS[look].fill},stroke:{LOOKS[look].color}{_STYLES[look].line},color:#111111"
        lines.append(f"    classDef {look} {css},text-align:left")
    lines.append("    classDef legend fill:#FFFFFF,stroke:none,color:#111111,text-align:left")
    return "\n".join(lines) + "\n"


def _node(box: Box) -> str:
    style = _STYLES[box.look]
    lines = [*(f"<b>{escaped(line)}</b>" for line in box.title), *map(escaped, box.lines)]
    return f'{style.start}"{"<br/>".join(lines)}"{style.end}'


def _legend(scene: Scene) -> str:
    looks = [f"{_STYLES[look].border}: {LOOKS[look].meaning}" for look in scene.looks]
    return "<br/>".join([f"<b>{escaped(scene.title)}</b>", *map(escaped, [*scene.notes, *looks, *scene.glyphs])])


def escaped(line: str) -> str:
    """A line as Mermaid shows it, whatever it holds: by their numbers all characters that might mean something."""
    told = _PLAIN.sub(lambda match: f"#{ord(match[0])};", line)
    return _LIST_ITEM.sub(r"\1#46;", told) or "#160;"
