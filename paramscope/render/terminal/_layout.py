"""Cells → lines of a terminal: tables that fit a width, and colours laid over finished lines.

tabulate would lay out the same, but in many times the time that it takes to look at the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from paramscope import text
from paramscope.errors import FormatError

GAP = 2
"""Columns between two cells."""

_COLORS = {
    # No blue: on a black ground it is next to nothing.
    "frozen": "36",
    "hidden": "1;31",
    "attribute": "33",
    "buffer": "35",
    "empty": "2",
    "unknown": "35",
    "warning": "33",
    "info": "36",
    "heading": "1",
    "legend": "2",
}


class Screen(NamedTuple):
    """Where the lines will stand."""

    width: int
    """Terminal columns that no line passes."""
    color: bool
    """Whether ANSI colours are understood."""
    encoding: str = "utf-8"
    """What characters become on their way there."""

    def shows(self, characters: str) -> bool:
        """Whether the encoding has all of these. Raises FormatError for one that does not exist."""
        try:
            characters.encode(self.encoding)
        except UnicodeEncodeError:
            return False
        except LookupError as error:
            raise FormatError(f"there is no encoding {self.encoding!r}", "Name one of Python's: utf-8.") from error
        return True


def joined(blocks: Iterable[Sequence[str]]) -> str:
    """A view, of its blocks; those without a line are left out."""
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


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
    """A table as lines, none of them wider than the screen: its first column is wrapped, and where that is not
    enough, so are the widest of the others.

    columns: cells of each column. right: positions of columns that are aligned to the right. styles: for each row
    what `paint` knows.
    """
    own = [
        max(column_width(column), text.width(head)) if column else text.width(head)
        for column, head in zip(columns, headers, strict=True)
    ]
    widths = _fitted(own, screen.width)
    heads = [_wrapped(head, width, text.wrap_words) for head, width in zip(headers, widths, strict=True)]
    first = [[cell] for cell in columns[0]]
    if widths[0] < own[0]:
        first = [_wrapped(cell, widths[0], text.wrap_path) for cell in columns[0]]
        # What is no wider than its lines need.
        widths[0] = max(text.width(line) for cell in (heads[0], *first) for line in cell)
    gap = " " * GAP
    lines = [paint(line, "heading", screen) for line in _row(heads, widths, right)]
    lines.append(gap.join("-" * width for width in widths))
    if widths[1:] == own[1:]:
        # What follows the path stands beside its first line.
        padded = [_padded([cell[0] for cell in first], widths[0], is_right=False)]
        padded += [_padded(columns[i], widths[i], is_right=i in right) for i in range(1, len(columns))]
        for i, cells in enumerate(zip(*padded, strict=True)):
            style = styles[i] if styles else None
            lines.append(paint(gap.join(cells).rstrip(), style, screen))
            if len(first[i]) > 1:
                lines.extend(paint(line.rstrip(), style, screen) for line in first[i][1:])
        return lines
    for i, (begin, *others) in enumerate(zip(first, *columns[1:], strict=True)):
        cells_of_row = [begin, *(_wrapped(cell, widths[at], _wrap_cell) for at, cell in enumerate(others, 1))]
        style = styles[i] if styles else None
        lines.extend(paint(line, style, screen) for line in _row(cells_of_row, widths, right))
    return lines


_NARROW = 8
"""Terminal columns that the first column of a table keeps, if it has so many."""


def _fitted(own: Sequence[int], width: int) -> list[int]:
    """How wide each column of a table is drawn, by how wide it would like to be: the first one gives way, and then
    the widest of the others."""
    widths = list(own)
    room = width - GAP * (len(own) - 1)
    over = sum(widths) - room
    if over > 0:
        widths[0] = max(min(own[0], _NARROW), own[0] - over)
    for _ in range(sum(widths) - room):
        widest = max(range(len(widths)), key=lambda at: (widths[at], at))
        if widths[widest] <= 2:  # what a Chinese character takes
            break
        widths[widest] -= 1
    return widths


def _wrapped(cell: str, width: int, wrap: Callable[[str, int], list[str]]) -> list[str]:
    return [cell] if text.width(cell) <= width else wrap(cell, width)


def _wrap_cell(cell: str, width: int) -> list[str]:
    """Sizes and figures, broken where they have joints."""
    return text.wrap_path(cell, width, joints="×,_ .")


def _row(cells: Sequence[Sequence[str]], widths: Sequence[int], right: Sequence[int]) -> Iterator[str]:
    """The lines of a row of wrapped cells."""
    for parts in zip_longest(*cells, fillvalue=""):
        line = (padded_cell(part, widths[at], is_right=at in right) for at, part in enumerate(parts))
        yield (" " * GAP).join(line).rstrip()


def _padded(cells: Sequence[str], width: int, *, is_right: bool) -> list[str]:
    """The cells of a column, all at once where each character takes one column."""
    if not text.is_narrow("".join(cells)):
        return [padded_cell(cell, width, is_right=is_right) for cell in cells]
    return [cell.rjust(width) for cell in cells] if is_right else [cell.ljust(width) for cell in cells]


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
