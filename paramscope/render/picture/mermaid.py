"""Report → Mermaid, which GitHub draws in Markdown: the same scene as DOT, within GitHub's limits."""

from __future__ import annotations

import re

from paramscope.render.picture._parts import MEANINGS, Box, LinkKind, Look, Scene
from paramscope.render.picture._scene import View
from paramscope.report.data import ReportData

MOST_TEXT, MOST_EDGES = 50_000, 500
"""Characters and links of a diagram that GitHub draws: Mermaid's own `maxTextSize` and `maxEdges`."""
FOLDED, UNFOLDED = 60, 480
"""Boxes at most, before the limits are looked at."""
FOLDED_FURTHER = "folded further: GitHub draws no larger diagram"

# Beside its colour every look has its own shape, border or width.
_SHAPES: dict[Look, tuple[str, str]] = {"frozen": ("[[", "]]"), "tensor": ("(", ")"), "tied": ("{{", "}}")}
_SHAPES |= {"aliased": ("([", "])"), "storage": ("[(", ")]"), "group": (">", "]")}
_BORDERS: dict[Look, tuple[str, str]] = {
    "trainable": ("solid", "fill:#EAF4FB,stroke:#0072B2,stroke-width:2px"),
    "frozen": ("double sides", "fill:#EEF0F2,stroke:#5A6470"),
    "mixed": ("thick", "fill:#F1F6F9,stroke:#0072B2,stroke-width:5px"),
    "unstepped": ("dotted", "fill:#FFF7E3,stroke:#B37400,stroke-width:3px,stroke-dasharray:2 4"),
    "hidden": ("dashed", "fill:#FDEFE6,stroke:#C24A00,stroke-width:2px,stroke-dasharray:8 4"),
    "plain": ("thin", "fill:#FFFFFF,stroke:#9AA3AC,stroke-width:1px"),
    "tensor": ("rounded", "fill:#FFFFFF,stroke:#33414E"),
    "tied": ("hexagon", "fill:#FBEFF6,stroke:#A3457E,stroke-width:2px"),
    "aliased": ("round ends", "fill:#FBEFF6,stroke:#A3457E"),
    "storage": ("cylinder", "fill:#F4F4EC,stroke:#33414E"),
    "group": ("flag", "fill:#E8F5F0,stroke:#007A5A,stroke-width:2px"),
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
        drawn = _flowchart(scene._replace(notes=(*scene.notes, FOLDED_FURTHER)))
    return drawn


def _flowchart(scene: Scene) -> str:
    ids = {box.name: f"n{i}" for i, box in enumerate(scene.boxes)}
    lines = ["flowchart LR", f'    legend["{_legend(scene)}"]:::legend']
    lines += [f"    {ids[box.name]}{_node(box)}:::{box.look}" for box in scene.boxes]
    lines += [f"    {ids[link.tail]} {_LINKS[link.kind]} {ids[link.head]}" for link in scene.links]
    looks = dict.fromkeys(box.look for box in scene.boxes)
    lines += [f"    classDef {look} {_BORDERS[look][1]},color:#111111,text-align:left" for look in looks]
    lines.append("    classDef legend fill:#FFFFFF,stroke:none,color:#111111,text-align:left")
    return "\n".join(lines) + "\n"


def _node(box: Box) -> str:
    start, end = _SHAPES.get(box.look, ("[", "]"))
    title = "<br/>".join(f"<b>{escaped(line)}</b>" for line in box.title)
    rest = "".join(f"<br/>{escaped(line)}" for line in box.lines)
    return f'{start}"{title}{rest}"{end}'


def _legend(scene: Scene) -> str:
    lines = [f"<b>{escaped(scene.title)}</b>", *map(escaped, scene.notes)]
    for name, meaning in scene.legend:
        look = next((each for each in MEANINGS if each == name), None)
        lines.append(escaped(f"{_BORDERS[look][0]}: {meaning}" if look else f"{name} {meaning}"))
    return "<br/>".join(lines)


def escaped(line: str) -> str:
    """A line as Mermaid shows it, whatever it holds: by their numbers all characters that might mean something."""
    told = _PLAIN.sub(lambda match: f"#{ord(match[0])};", line)
    return _LIST_ITEM.sub(r"\1#46;", told) or "#160;"
