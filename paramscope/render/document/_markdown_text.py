"""Names, sentences and grids → GitHub flavoured Markdown in which nothing of a name is interpreted."""

from __future__ import annotations

import re

from tabulate import tabulate

from paramscope import text
from paramscope.render._pieces import Name, Pieces, told
from paramscope.render.document._sections import Grid

_BACKTICKS = re.compile("`+")


def markdown(pieces: Pieces, *, in_grid: bool = False) -> str:
    """A text. Names stand in code spans: GitHub looks for no mention, emoji or link in there."""
    return "".join(code(piece, in_grid=in_grid) if isinstance(piece, Name) else piece for piece in told(pieces))


def code(name: str, *, in_grid: bool = False) -> str:
    """A name as a code span, delimited by more backticks than it holds."""
    shown = text.name(name) or '""'
    if in_grid:
        # GitHub takes a backslash before an escaped bar for an escaped backslash, and the bar for the cell's end.
        shown = shown.replace("\\|", "\\\\x7c").replace("|", "\\|")
    runs = {len(run) for run in _BACKTICKS.findall(shown)}
    fence = "`" * next(length for length in range(1, len(runs) + 2) if length not in runs)
    # One space on each side is taken off again.
    fill = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{fill}{shown}{fill}{fence}" if shown.strip() else f"`{shown}`"


def table(grid: Grid, *, is_squeezed: bool = False) -> str:
    """A table; squeezed, it is not filled up with spaces."""
    cells = [[markdown(cell, in_grid=True) for cell in row] for row in grid.rows]
    aligned = ["right" if i in grid.right else "left" for i in range(len(grid.headers))]
    # tabulate 0.9 aligns no columns of a table without rows.
    drawn = tabulate(cells, grid.headers, tablefmt="pipe", colalign=aligned if cells else None, disable_numparse=True)
    if not is_squeezed:
        return drawn
    # Only what stands beside the bars of the table: a bar within a name has a backslash before it.
    head, rule, *rows = (re.sub(r" +\|(?= |$)", " |", re.sub(r"\| +", "| ", line)) for line in drawn.split("\n"))
    return "\n".join([head, re.sub("-+", "---", rule), *rows])
