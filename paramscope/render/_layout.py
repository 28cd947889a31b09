"""Cells → lines of a terminal: tables that fit a width, and colours laid over finished lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tabulate import tabulate

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


def grid_width(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> int:
    """Columns that a table takes."""
    columns = zip(headers, *rows, strict=True)
    return sum(max(map(text.width, column)) for column in columns) + GAP * (len(headers) - 1)


def grid(
    rows: Sequence[Sequence[str]],
    headers: Sequence[str],
    *,
    screen: Screen,
    right: Sequence[int] = (),
    styles: Sequence[str | None] = (),
) -> list[str]:
    """A table as lines, its first column wrapped so that no line is wider than the screen.

    right: positions of columns that are aligned to the right. styles: for each row what `paint` knows.
    """
    rest = grid_width([row[1:] for row in rows], headers[1:]) if len(headers) > 1 else -GAP
    room = max(8, screen.width - rest - GAP)
    wrapped = [text.wrap_path(row[0], room) for row in rows]
    body = [["\n".join(lines), *row[1:]] for lines, row in zip(wrapped, rows, strict=True)]
    aligned = ["right" if i in right else "left" for i in range(len(headers))]
    # NOTE: as headers, tabulate would pad these by two columns; as a row it does not.
    drawn = tabulate([list(headers), *body], tablefmt="plain", colalign=aligned, disable_numparse=True).split("\n")
    lines = [line.rstrip() for line in drawn]
    cells = [[headers[0], *(line for part in wrapped for line in part)]]
    cells += [[header, *(row[i] for row in rows)] for i, header in enumerate(headers) if i]
    rule = (" " * GAP).join("-" * max(map(text.width, column)) for column in cells)
    painted = [paint(lines[0], "heading", screen), rule]
    lines.insert(1, rule)
    at = 2
    for i, part in enumerate(wrapped):
        style = styles[i] if styles else None
        painted.extend(paint(line, style, screen) for line in lines[at : at + len(part)])
        at += len(part)
    return painted


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
            lines.extend(indent + part for part in full)
        line += piece
    return [*lines, line.rstrip()]
