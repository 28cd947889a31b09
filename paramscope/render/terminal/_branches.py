"""Items of a tree → lines of a terminal: labels that are shortened before they are wrapped, figures, bars, colour."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from paramscope import text
from paramscope.render._columns import elements, fates, share
from paramscope.render._line import Line
from paramscope.render._ran import GRADIENT_HEADERS, HEADERS, gradient_cells
from paramscope.render.terminal._layout import GAP, Screen, column_width, padded_cell, paint
from paramscope.render.terminal._page import style_of
from paramscope.report.data import ReportData

BAR = 12
"""Terminal columns of a bar that stands for all parameters."""
BAR_FROM = 100
"""Terminal columns from which on there is room for bars."""
_EIGHTHS = " ▏▎▍▌▋▊▉█"


class Item(NamedTuple):
    """One line of the tree, before it is laid out."""

    branch: str
    """The lines that lead to it: `│  ├─ `."""
    below: str
    """What stands before the further lines of a label that takes several."""
    labels: Sequence[str]
    """What is said in any case: in full, and shorter."""
    more: Sequence[str]
    """What is said besides, the most important first, as far as there is room."""
    line: Line
    """What its figures are about."""
    ran: Sequence[str]
    """What a run showed of its modules, as `_ran.HEADERS` has it; nothing where nothing was run."""
    is_leaf: bool
    """Whether what is said besides matters more than the class: of what holds no module, the shape does."""
    is_closed: bool = False
    """Whether it is a module whose inside is not listed."""


def drawn_items(items: list[Item], report: ReportData, screen: Screen, *, bars: bool) -> list[str]:
    """The items, one or more lines each, none wider than the screen.

    report: whose parameters all shares are of. bars: whether there are bars, where there is room.
    """
    longest = max(text.width(item.branch + item.labels[-1]) for item in items)
    for part, is_scaled in _TIGHTNESS if report.run else _TIGHTNESS[:1]:
        ends = list(_ends(items, report, screen, part, is_scaled=is_scaled, bars=bars))
        widths = [column_width([*column, header] if report.run else column) for header, column, _ in ends]
        room = max(16, screen.width - sum(widths) - GAP * len(widths))
        if longest <= room:
            break
    labels = [_fitted(item, room) for item in items]
    longest = max(text.width(label[0]) for label in labels)
    lines: list[str] = []
    if report.run is not None:
        named = [padded_cell(header, widths[at], is_right=is_right) for at, (header, _, is_right) in enumerate(ends)]
        lines.append(paint((" " * GAP).join([padded_cell("module", longest), *named]).rstrip(), "heading", screen))
    for i, (item, label) in enumerate(zip(items, labels, strict=True)):
        cells = [padded_cell(label[0], longest)]
        cells += [
            padded_cell(column[i], widths[at], is_right=is_right) for at, (_, column, is_right) in enumerate(ends)
        ]
        drawn = [(" " * GAP).join(cells).rstrip(), *label[1:]]
        lines += [paint(line, style_of(item.line), screen) for line in drawn]
    return lines


_TIGHTNESS = ((4, False), (6, False), (6, True), (8, True))
"""What part of the screen an output may take, and whether elements are counted in millions: the first that leaves
room for the names."""


def _ends(
    items: list[Item], report: ReportData, screen: Screen, part: int, *, is_scaled: bool, bars: bool
) -> Iterator[tuple[str, Sequence[str], bool]]:
    """(header, cells, whether they are figures) of each column behind the labels."""
    # Among parameters, modules of buffers alone count nothing.
    is_of_buffers = [bool(item.line.closed and item.line.closed.is_of_buffers) for item in items]
    counts = [
        "" if alone and not is_of_buffers[0] else elements(item.line, is_scaled=is_scaled)
        for item, alone in zip(items, is_of_buffers, strict=True)
    ]
    shares = [share(item.line, report) for item in items]
    is_wide = screen.width >= BAR_FROM
    output, *figures = zip(*(item.ran for item in items), strict=True) if report.run else [()]
    named = [*zip(HEADERS[1:], figures, strict=False)]
    if report.run is not None:
        yield HEADERS[0], [_cut(cell, screen.width // part) for cell in output], False
        if report.run.kind != "graph":
            told = zip(*(gradient_cells(report, item.line.slots) for item in items), strict=True)
            # What the other run shows without memory makes room for what it cannot.
            named = [*(named if is_wide else []), *zip(GRADIENT_HEADERS, told, strict=True)]
    if any(counts):
        yield "elements", counts, True
    for name, column in named:
        if any(column):
            yield name, column, True
    if any(shares) and (report.run is None or (is_wide and report.run.kind == "graph")):
        yield "of all", shares, True
    if bars and is_wide and report.run is None:
        yield "", [bar(item.line, report, screen) for item in items], False
    yield "fate", [fates(item.line) for item in items], False


_NAMES = re.compile(r"\b[A-Za-z_]\w*: ")


def _cut(cell: str, width: int) -> str:
    """What was returned, in no more than so many columns: without the names of its parts, and cut."""
    if text.width(cell) > width:
        cell = _NAMES.sub("", cell)
    return cell if text.width(cell) <= width else f"{cell[: text.fitting(cell, width - 1)]}…"


def _fitted(item: Item, room: int) -> list[str]:
    """A label with as much beside it as there is room for; on several lines where it alone is too long."""
    numbers = range(len(item.more), -1, -1)
    shorter = [(number, label) for number in numbers for label in item.labels]
    if not item.is_leaf:
        shorter.sort(key=lambda each: item.labels.index(each[1]))
    for number, label in shorter:
        more = "".join(item.more[:number]).removeprefix(", ")
        line = f"{item.branch}{label}  {more}" if more else item.branch + label
        if text.width(line) <= room:
            return [line]
    first, *rest = text.wrap_words(item.labels[-1], max(8, room - text.width(item.branch)))
    return [item.branch + first, *(f"{item.below}  {line}".rstrip() for line in rest)]


def bar(line: Line, report: ReportData, screen: Screen) -> str:
    """A bar of eighths of a column; nothing for nothing, the thinnest for what is next to nothing."""
    part, whole = line.elements, report.totals.parameters
    if not part or not whole or not share(line, report):
        return ""
    if not screen.shows(_EIGHTHS):
        return "#" * max(1, round(BAR * part / whole))
    eighths = max(1, round(BAR * 8 * part / whole))
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")
