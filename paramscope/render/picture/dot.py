"""Report → DOT, Graphviz's language: names escaped, boxes as wide as their text may get in any font, a direction that
keeps it legible. The other pictures are laid out from it.
"""

from __future__ import annotations

import re
from html import escape
from typing import NamedTuple

import graphviz  # type: ignore[import-untyped]  # ships no types

from paramscope import text
from paramscope.render.picture._parts import LOOKS, Box, LinkKind, Look, Scene
from paramscope.render.picture._scene import View
from paramscope.report.data import ReportData

FOLDED, UNFOLDED = 60, 1_000
"""Boxes at most."""
FONT_SIZE = 12
FONT = "Helvetica,Arial,sans-serif"
EM = 0.6
"""Width of a character, in font sizes: no common sans-serif font is wider on average."""
SHOWN_AT, SMALLEST = 1600, 9
"""Text is at least so many pixels high where the picture is shown at this width."""
WIDEST = FONT_SIZE * SHOWN_AT // SMALLEST
"""Points that a picture may be wide for that."""
_BETWEEN = 20
"""Points between two boxes of a rank."""
_GAP = 44
"""Points between two ranks, a little more than Graphviz is given."""


class _Style(NamedTuple):
    shape: str
    style: str
    border: str
    """How the legend calls it."""
    penwidth: str = "1.2"
    peripheries: str = "1"


_STYLES: dict[Look, _Style] = {
    "trainable": _Style("box", "filled", "solid", penwidth="1.8"),
    "frozen": _Style("box", "filled", "double border", peripheries="2"),
    "mixed": _Style("box", "filled,diagonals", "cut corners", penwidth="1.4"),
    "unstepped": _Style("box", "filled,dotted", "dotted", penwidth="2.4"),
    "hidden": _Style("box", "filled,dashed", "dashed", penwidth="1.8"),
    "plain": _Style("box", "filled", "thin", penwidth="0.8"),
    "tensor": _Style("box", "filled,rounded", "rounded"),
    "tied": _Style("component", "filled", "with tabs", penwidth="1.8"),
    "aliased": _Style("note", "filled", "folded corner", penwidth="1.4"),
    "storage": _Style("cylinder", "filled", "cylinder"),
    "group": _Style("cds", "filled", "arrow", penwidth="1.6"),
}
_LINKS: dict[LinkKind, dict[str, str]] = {
    "contains": {"color": "#7D8790", "arrowhead": "none"},
    "contains-hidden": {"color": "#C24A00", "style": "dashed", "arrowhead": "odot"},
    "holds": {"color": "#33414E", "arrowhead": "dot", "arrowsize": "0.6"},
    "holds-shared": {"color": "#A3457E", "penwidth": "1.6", "arrowhead": "dot", "arrowsize": "0.6"},
    "holds-hidden": {"color": "#C24A00", "style": "dashed", "arrowhead": "odot", "arrowsize": "0.8"},
    "views": {"color": "#33414E", "style": "dotted", "penwidth": "1.6", "arrowhead": "vee"},
    "steps": {"color": "#007A5A", "style": "bold", "arrowhead": "normal"},
}
_ACROSS = 4
"""Looks in a row of the legend."""
_ENTITY = re.compile(r"&(?=#?\w+;)")
_LINE_HEIGHT = 15
"""Points from line to line."""


def render(
    report: ReportData,
    *,
    fold: bool = True,
    depth: int | None = None,
    around: str | None = None,
    only: str | None = None,
) -> str:
    """The graph of a model in DOT.

    fold: repeated siblings as one box, and no more boxes than are legible. depth: modules so many steps below the
    root are closed. around: a path; only who holds it, what shares its memory, who steps it. only: `ties`, `frozen`,
    `hidden` or `optimizer`.

    Raises FormatError for a choice that does not exist, GlobError for a path that the model does not have.
    """
    view = View(report, fold=fold, depth=depth, around=around, only=only)
    if not fold:
        return _written(view.scene(UNFOLDED))
    scene = view.scene(FOLDED)
    levels = max((box.level for box in scene.boxes), default=0) + 1
    while depth is None and _measured(scene)[1] > WIDEST and levels > 2:
        levels -= 1
        scene = view.scene(FOLDED, levels=levels)
    return _written(scene)


def _written(scene: Scene) -> str:
    """The scene in DOT. Names are numbered, so that nothing of the model stands outside of a quoted label."""
    direction, _ = _measured(scene)
    dot = graphviz.Digraph("paramscope")
    dot.attr(
        "graph",
        rankdir=direction,
        bgcolor="white",
        fontname=FONT,
        fontsize=str(FONT_SIZE),
        label=_heading(scene),
        labelloc="t",
        labeljust="l",
        nodesep="0.22",
        ranksep="0.5",
        ordering="out",
        pad="0.2",
        tooltip=_tip(scene.title),
    )
    dot.attr("node", fontname=FONT, fontsize=str(FONT_SIZE), fontcolor="#111111", margin="0.12,0.07")
    dot.attr("edge", arrowsize="0.7")
    ids = {box.name: f"n{i}" for i, box in enumerate(scene.boxes)}
    for box in scene.boxes:
        style = _STYLES[box.look]
        dot.node(
            ids[box.name],
            _label(box),
            shape=style.shape,
            style=style.style,
            color=LOOKS[box.look].color,
            fillcolor=LOOKS[box.look].fill,
            penwidth=style.penwidth,
            peripheries=style.peripheries,
            width=f"{_width(box) / 72:.2f}",
            height=f"{_height(box) / 72:.2f}",
            tooltip=_tip(box.tip),
        )
    for link in scene.links:
        dot.edge(ids[link.tail], ids[link.head], **_LINKS[link.kind])
    source: str = dot.source
    return source


def _measured(scene: Scene) -> tuple[str, float]:
    """(direction, points that the picture will be wide): left to right where that is legible, else the narrower."""
    levels: dict[int, list[float]] = {}
    for box in scene.boxes:
        levels.setdefault(box.level, []).append(_width(box))
    across = sum(map(max, levels.values())) + _GAP * len(levels)
    down = _tree_width(scene)
    return ("LR", across) if across <= WIDEST or across <= down else ("TB", down)


def _tree_width(scene: Scene) -> float:
    """Points that the picture will be wide from top to bottom: each box stands above all that hangs from it."""
    parents: dict[str, str] = {}
    for link in scene.links:
        if link.kind != "steps":
            parents.setdefault(link.head, link.tail)
    below: dict[str, float] = {}
    whole = 0.0
    for box in sorted(scene.boxes, key=lambda box: -box.level):
        wide = max(_width(box) + _BETWEEN, below.get(box.name, 0))
        parent = parents.get(box.name)
        if parent is None:
            whole += wide
        else:
            below[parent] = below.get(parent, 0) + wide
    return whole


def _text_width(*lines: str) -> float:
    """Points that lines take, whatever font they are shown in."""
    return max(map(text.width, lines)) * EM * FONT_SIZE


def _width(box: Box) -> float:
    return _text_width(*box.title, *box.lines) + (50 if _STYLES[box.look].shape in ("cds", "component") else 22)


def _height(box: Box) -> float:
    return (len(box.title) + len(box.lines)) * _LINE_HEIGHT + (30 if _STYLES[box.look].shape != "box" else 12)


def _label(box: Box) -> str:
    rows = [_row(line, is_title=True) for line in box.title] + [_row(line) for line in box.lines]
    # As wide as the text may get, so that what stands to the left in it does so in the box.
    wide = int(_text_width(*box.title, *box.lines))
    table = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1" WIDTH="{wide}">'
    return f"<{table}{''.join(rows)}</TABLE>>"


def _row(line: str, *, is_title: bool = False) -> str:
    return f'<TR><TD ALIGN="LEFT">{_text(line, is_title=is_title)}</TD></TR>'


def _text(line: str, *, is_title: bool = False) -> str:
    """A line in Graphviz's HTML: spaces kept, nothing of it read as markup. Empty markup is an error there."""
    told = escape(line).replace("  ", "&#160; ") or "&#160;"
    return f"<B>{told}</B>" if is_title else told


def _tip(line: str) -> str:
    """A text to point at. There, unlike in labels, Graphviz 2.43 and 14 take `&#x202e;` for the character itself."""
    tip: str = graphviz.escape(_ENTITY.sub("&amp;", line))
    return tip


def _heading(scene: Scene) -> str:
    """Title, notes and legend: the label of the whole graph."""
    lines = [_row(scene.title, is_title=True), _row(" · ".join(scene.notes))]
    cells = list(map(_swatch, scene.looks))
    for start in range(0, len(cells), _ACROSS):
        row = "".join(cells[start : start + _ACROSS])
        lines.append(f'<TR><TD ALIGN="LEFT"><TABLE BORDER="0" CELLSPACING="4"><TR>{row}</TR></TABLE></TD></TR>')
    if scene.glyphs:
        lines.append(_row("   ".join(scene.glyphs)))
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="2" CELLPADDING="1">{"".join(lines)}</TABLE>>'


def _swatch(look: Look) -> str:
    style, paint = _STYLES[look], LOOKS[look]
    meaning = f"{style.border}: {paint.meaning}"
    wide = int(_text_width(meaning)) + 12
    borders = [each for each in ("dashed", "dotted", "rounded") if each in style.style]
    line = f' STYLE="{borders[0]}"' if borders else ""
    # To the left: in a wider font than that of the layout the text grows to the right, into the room kept for it.
    look_of_it = f'COLOR="{paint.color}" BGCOLOR="{paint.fill}"{line}'
    return f'<TD ALIGN="LEFT" BORDER="1" WIDTH="{wide}" {look_of_it}>{_text(meaning)}</TD>'
