"""Report → PDF: the graph, laid out by Graphviz."""

from __future__ import annotations

from paramscope.render.picture import dot
from paramscope.render.picture._layout import lay_out
from paramscope.report.data import ReportData


def render(
    report: ReportData,
    *,
    fold: bool = True,
    depth: int | None = None,
    around: str | None = None,
    only: str | None = None,
) -> bytes:
    """The graph of a model as PDF; options as in `paramscope.render.picture.dot`.

    Raises NoGraphviz where nothing is installed that lays it out, and what `dot` raises.
    """
    source = dot.render(report, fold=fold, depth=depth, around=around, only=only)
    return lay_out(source, "pdf")
