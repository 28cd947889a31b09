"""Report → table for a terminal: slots with their four fates, totals, sharing, and what optimizers step."""

from __future__ import annotations

from collections.abc import Sequence

from paramscope.render._chosen import Selection, nothing
from paramscope.render._columns import COLUMNS, SHORT_ROLE, Column, chosen, words
from paramscope.render._lines import Line, lines_of
from paramscope.render._page import remarks, varied
from paramscope.render.terminal import _page as page
from paramscope.render.terminal._layout import GAP, Screen, column_width, grid
from paramscope.report.data import ReportData
from paramscope.snapshot import FATES

NARROWEST_PATH = 36
"""Columns that a path may claim before the other columns are written out."""


def render(
    report: ReportData,
    *,
    width: int = 80,
    color: bool = False,
    fold: bool = True,
    path: str | None = None,
    status: str | Sequence[str] = (),
    sort: str = "model",
    depth: int | None = None,
    columns: str | Sequence[str] = (),
) -> str:
    """The table that people read.

    width: terminal columns that no line passes. color: ANSI colours. fold: repeated siblings as one row, and
    empty slots left out. path: a glob; only slots that match are listed, the totals stay those of the model.
    status: what the slots have to be: `trainable`, `frozen,hidden`, `not-stepped`. sort: `model`, `path`, `elements`,
    `bytes`, `status` or `dtype`. depth: modules so many steps below the root are summed up in one line. columns:
    names of the columns beside the path, `shape,bytes`; by default what fits the width.

    Raises GlobError where the glob matches nothing, FormatError for a choice that does not exist.
    """
    selection = Selection(fold, path, words(status), sort, depth)
    wanted = chosen(words(columns)) if columns else []
    lines = lines_of(report, selection)
    screen = Screen(width, color)
    blocks = [
        page.title(report, width),
        _slot_lines(report, lines.shown, wanted, screen) if lines.shown else [nothing(report, selection)],
        page.total_lines(report, width, lines.left_out),
        page.finding_lines(report, screen),
        page.sharing_lines(report, lines.rows, width),
        page.optimizer_lines(report, lines.rows, screen),
        page.note_lines(report, width),
    ]
    return page.joined(blocks)


def _slot_lines(report: ReportData, lines: list[Line], wanted: list[Column], screen: Screen) -> list[str]:
    if wanted:
        columns, cells = wanted, [[column.cell(line, report) for line in lines] for column in wanted]
    else:
        columns, cells = _fitting(report, lines, screen)
    headers = [column.header for column in columns]
    right = [i for i, column in enumerate(columns) if column.is_right]
    styles = [line.common("status") for line in lines]
    drawn = grid(cells, headers, right=right, screen=screen, styles=styles)
    # What was not asked for is not told in words either.
    told = remarks(lines, [*headers, "dtype", "device"] if wanted else headers)
    return page.with_remarks(drawn, told, screen.width)


def _fitting(report: ReportData, lines: list[Line], screen: Screen) -> tuple[list[Column], list[list[str]]]:
    """The columns that fit the screen, and their cells."""
    known: dict[Column, list[str]] = {}

    def cells_of(column: Column) -> list[str]:
        if column not in known:
            known[column] = [column.cell(line, report) for line in lines]
        return known[column]

    def widths(columns: list[Column]) -> int:
        return sum(max(column_width(cells_of(each)), len(each.header)) + GAP for each in columns)

    path, same = COLUMNS["path"], varied(lines)
    longest = min(max(column_width(cells_of(path)), len("path")), max(NARROWEST_PATH, screen.width // 3))
    full = [COLUMNS[name] for name in ("role", "shape", "dtype", "device", "elements", *FATES)]
    room = screen.width - longest
    # The headings alone tell most screens that there is no room.
    if sum(len(each.header) + GAP for each in full) <= room and widths(full) <= room:
        columns = [path, *full]
    else:
        # A column that says the same in every row says it once, where columns are scarce.
        columns = [path, SHORT_ROLE, *(COLUMNS[name] for name in ("shape", *same, "elements", "fate"))]
    return columns, [cells_of(each) for each in columns]
