"""Report → PDF: the graph, laid out by Graphviz."""

from __future__ import annotations

from collections.abc import Callable

from paramscope.render.picture._layout import drawn

render: Callable[..., str | bytes] = drawn("pdf")
