"""Cells → lines of a terminal: tables that fit a width, and colours laid over finished lines.

tabulate would lay out the same, but in many times the time that it takes to look at the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from paramscope import text

GAP = 2
"""Columns between two cells."""

_COLORS = {
    "frozen": "34",
    "hidden": "1;31",
    "attribute": "33",
    "buffer": "36",
    "empty": "2",
    "unknown": "35",
    "warning": "33",
    "heading": "1",
}


class Screen(NamedTuple):
    """Where the lines will stand."""

    width: int
    """Terminal columns that no line passes."""
    color: bool
    """Whether ANSI colours are understood."""


def paint(line: str, style: str | None, screen: Screen) -> str:
    """A line in the colour of a status; as it is where there is none for it, or no colour is wanted."""
    code = _COLORS.get(style or "")
    return f"\x1b[{code}m{line}\x1b[0m" if screen.color and code else line


def column_width(cells: Sequence[str]) -> int:
    """Terminal columns of the widest cell."""
    return max(map(len, cells)) if text.is_narrow("".join(cells)) else max(map(text.width, cells))


def grid(
    columns: Sequence[Sequence[str]],
    headers: Sequence[str],
    *,
    screen: Screen,
    right: Sequence[int] = (),
    styles: Sequence[str | None] = (),
) -> list[str]:
    """A table as lines, its first column wrapped so that no line is wider than the screen.

    columns: cells of each column. right: positions of columns that are aligned to the right. styles: for each row
    what `paint` knows.
    """
    widths = [
        max(column_width(column), text.width(head)) if column else text.width(head)
        for column, head in zip(columns, headers, strict=True)
    ]
    room = max(8, screen.width - sum(widths[1:]) - GAP * (len(widths) - 1))
    first: list[list[str]] = []
    if widths[0] <= room:
        first = [[cell] for cell in columns[0]]
    else:
        first = [text.wrap_path(cell, room) for cell in columns[0]]
        widths[0] = max(text.width(headers[0]), max(text.width(line) for lines in first for line in lines))
    padded = [
        [padded_cell(cell, widths[i], is_right=i in right) for cell in column] if i else []
        for i, column in enumerate(columns)
    ]
    gap = " " * GAP
    heads = [padded_cell(head, widths[i], is_right=i in right) for i, head in enumerate(headers)]
    lines = [paint(gap.join(heads).rstrip(), "heading", screen), gap.join("-" * width for width in widths)]
    for i, cells in enumerate(zip(*padded[1:], strict=True) if len(columns) > 1 else [()] * len(first)):
        *before, last = first[i]
        # What follows the path stands beside its first line.
        head, tail = (before[0], [*before[1:], last]) if before else (last, [])
        style = styles[i] if styles else None
        lines.append(paint(gap.join((padded_cell(head, widths[0]), *cells)).rstrip(), style, screen))
        lines.extend(paint(line.rstrip(), style, screen) for line in tail)
    return lines


def padded_cell(cell: str, width: int, *, is_right: bool = False) -> str:
    """A cell filled up with spaces to a width in terminal columns."""
    if text.is_narrow(cell):
        return cell.rjust(width) if is_right else cell.ljust(width)
    fill = " " * (width - text.width(cell))
    return fill + cell if is_right else cell + fill


def sentence(words: Sequence[str], width: int, *, indent: str = "", separator: str = ", ") -> list[str]:
    """Pieces set one after the other, on as many lines as they take."""
    lines: list[str] = []
    line = indent
    for i, word in enumerate(words):
        piece = word + (separator if i < len(words) - 1 else "")
        if line.strip() and text.width(line + piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = indent
        if text.width(indent + piece.rstrip()) > width:
            *full, piece = text.wrap_path(piece, max(8, width - len(indent)))
            lines.extend(indent + part.rstrip() for part in full)
        line += piece
    return [*lines, line.rstrip()]
