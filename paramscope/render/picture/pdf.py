"""Report → PDF: the graph, laid out by Graphviz."""

from __future__ import annotations

from paramscope.render.picture._layout import drawn

render = drawn("pdf")
