"""Report → DOT, Graphviz's language: the graph that the pictures are laid out from."""

from __future__ import annotations

from paramscope.render.picture._dot import WIDEST, measured, to_dot
from paramscope.render.picture._scene import View
from paramscope.report.data import ReportData

FOLDED, UNFOLDED = 60, 1_000
"""Boxes at most."""


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
        return to_dot(view.scene(UNFOLDED))
    scene = view.scene(FOLDED)
    levels = max((box.level for box in scene.boxes), default=0) + 1
    while depth is None and measured(scene)[1] > WIDEST and levels > 2:
        levels -= 1
        scene = view.scene(FOLDED, levels=levels)
    return to_dot(scene)
