"""Report → what training takes in memory: now, and when the optimizers have stepped for the first time."""

from __future__ import annotations

from paramscope import text
from paramscope.render._cost import remarks, tables
from paramscope.render._pieces import flat
from paramscope.render._plan import tables_and_remarks
from paramscope.render.terminal._layout import Screen, grid, joined
from paramscope.render.terminal._page import title
from paramscope.report.data import ReportData


def render(report: ReportData, *, plan: str | None = None, width: int = 80, color: bool = False) -> str:
    """Bytes of parameters, gradients, optimizer state, buffers and activations; at the first step also by dtype,
    device and top-level module, where there are several. Of state that is not there yet, a fresh optimizer is asked.

    plan: a mesh, `fsdp=64,tp=8`: instead what each of its ranks would hold. width: terminal columns that no line
    passes. color: ANSI colours.

    Raises MeshError for a mesh that cannot be.
    """
    screen = Screen(width, color)
    shown, told = (tables(report), remarks(report)) if plan is None else tables_and_remarks(report, plan)
    blocks = [title(report, width)]
    for table in shown:
        columns = [list(map(flat, column)) for column in zip(*table.rows, strict=True)]
        blocks.append(grid(columns, table.headers, right=range(1, len(table.headers)), screen=screen))
    return joined([*blocks, [line for each in told for line in text.wrap_words(flat(each), width)]])
