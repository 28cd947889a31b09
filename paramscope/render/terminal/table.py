"""Report → table for a terminal: slots with their four fates, totals, sharing, and what optimizers step."""

from __future__ import annotations

from collections.abc import Sequence

from paramscope.errors import FormatError, nearest
from paramscope.render._chosen import Selection, nothing
from paramscope.render._columns import BARE_ELEMENTS, BARE_PATH, COLUMNS, SHORT_ROLE, Column, chosen, role, words
from paramscope.render._line import Line
from paramscope.render._lines import lines_of
from paramscope.render._page import remarks, varied
from paramscope.render._ran import COLUMNS as RUN_COLUMNS
from paramscope.render.terminal import _page as page
from paramscope.render.terminal._branches import BAR, BAR_FROM, bar
from paramscope.render.terminal._finding_lines import finding_lines
from paramscope.render.terminal._layout import GAP, Screen, column_width, joined
from paramscope.report.data import ReportData
from paramscope.snapshot import FATES

NARROWEST_PATH = 36
"""Columns that a path may claim before the other columns are written out."""


def render(
    report: ReportData,
    *,
    width: int = 80,
    color: bool = False,
    bars: bool = False,
    encoding: str = "utf-8",
    fold: bool = True,
    path: str | None = None,
    status: str | Sequence[str] = (),
    sort: str = "model",
    depth: int | None = None,
    columns: str | Sequence[str] = (),
    style: str | None = None,
) -> str:
    """The table that people read.

    width: terminal columns that no line passes. color: ANSI colours. bars: in the column `share`, where there is
    room. encoding: of the terminal; bars are in ASCII where it has no characters for them. fold: repeated siblings as
    one row, and empty slots left out. path: a glob; only slots that match are listed, the totals stay those of the
    model. status: what the slots have to be: `trainable`, `frozen,hidden`, `not-stepped`. sort: `model`, `path`,
    `elements`, `bytes`, `status` or `dtype`. depth: modules so many steps below the root are summed up in one line.
    columns: names of the columns beside the path, `shape,bytes`; by default what fits the width. style: the rows
    alone, as a document wants them: `latex_booktabs`, `rst`, `github` or any other table format of tabulate.

    Raises GlobError where the glob matches nothing, FormatError for a choice that does not exist.
    """
    selection = Selection(fold, path, words(status), sort, depth)
    wanted = chosen(words(columns) or _IN_PAPERS if style else words(columns)) if columns or style else []
    lines = lines_of(report, selection)
    if style is not None:
        bare = {COLUMNS["path"]: BARE_PATH, COLUMNS["elements"]: BARE_ELEMENTS}
        return _styled(report, lines.shown, [bare.get(column, column) for column in wanted], style)
    screen = Screen(width, color, encoding)
    blocks = [
        page.title(report, width),
        _slot_lines(report, lines.shown, wanted, screen, bars=bars) if lines.shown else [nothing(report, selection)],
        page.total_lines(report, width, lines),
        finding_lines(report, screen),
        page.sharing_lines(report, lines.rows, width),
        page.optimizer_lines(report, lines.rows, screen),
        page.note_lines(report, width),
    ]
    return joined(blocks)


_IN_PAPERS = ("module", "shape", "elements", "share")
"""The columns of a table that is only rows, by default."""


def _styled(report: ReportData, lines: list[Line], columns: list[Column], style: str) -> str:
    """Rows as tabulate draws them: it knows dozens of formats, and escapes what each has to."""
    from tabulate import tabulate, tabulate_formats

    # Those that escape nothing are left out: a name may hold anything.
    known = [each for each in tabulate_formats if each not in ("unsafehtml", "latex_raw")]
    if style not in known:
        near = nearest(style, known, n=1)
        advice = f"Did you mean {near[0]}?" if near else f"Choose from {', '.join(known)}."
        raise FormatError(f"there is no table style {style!r}", advice)
    bar = r"\|" if style in ("github", "pipe") else "|"
    rows = [[column.cell(line, report).replace("|", bar) for column in columns] for line in lines]
    align = ["right" if column.is_right else "left" for column in columns]
    drawn: str = tabulate(
        rows,
        [column.header for column in columns],
        tablefmt=style,
        colalign=align if rows else None,
        disable_numparse=True,
    )
    return f"{drawn}\n"


def _slot_lines(
    report: ReportData, lines: list[Line], wanted: list[Column], screen: Screen, *, bars: bool
) -> list[str]:
    if wanted:
        columns, cells = wanted, [[column.cell(line, report) for line in lines] for column in wanted]
        if bars and COLUMNS["share"] in wanted:
            columns, cells = _with_bars(report, lines, columns, cells, screen)
    else:
        columns, cells = _fitting(report, lines, screen)
    headers = [column.header for column in columns]
    right = [i for i, column in enumerate(columns) if column.is_right]
    styles = [page.style_of(line) for line in lines]
    drawn = page.line_grid(lines, cells, headers, right=right, screen=screen, styles=styles)
    # What was not asked for is not told in words either.
    told = remarks(lines, [*headers, "role", "dtype", "device"] if wanted else headers)
    return page.with_remarks(drawn, told, screen.width)


def _with_bars(
    report: ReportData, lines: list[Line], columns: list[Column], cells: list[list[str]], screen: Screen
) -> tuple[list[Column], list[list[str]]]:
    """Some columns, and their cells, with bars behind the shares, where there is room."""
    at = columns.index(COLUMNS["share"])
    drawn = [bar(line, report, screen) for line in lines]
    widths = (max(column_width(column), len(each.header)) + GAP for column, each in zip(cells, columns, strict=True))
    if screen.width < BAR_FROM or sum(widths) + BAR > screen.width:
        return columns, cells
    digits = column_width(cells[at])
    barred = [f"{share:>{digits}} {each}".rstrip() for share, each in zip(cells[at], drawn, strict=True)]
    column = columns[at]._replace(is_right=False)
    return [*columns[:at], column, *columns[at + 1 :]], [*cells[:at], barred, *cells[at + 1 :]]


def _fitting(report: ReportData, lines: list[Line], screen: Screen) -> tuple[list[Column], list[list[str]]]:
    """The columns that fit the screen, and their cells."""
    known: dict[Column, list[str]] = {}

    def cells_of(column: Column) -> list[str]:
        if column not in known:
            known[column] = [column.cell(line, report) for line in lines]
        return known[column]

    path, different = COLUMNS["path"], varied(lines)
    longest = min(max(column_width(cells_of(path)), len("path")), max(NARROWEST_PATH, screen.width // 3))
    is_mixed = len({role(line) for line in lines}) > 1
    ran = RUN_COLUMNS[report.run.kind] if report.run else ()
    short = tuple(name for name in ran if name != "reached")
    tried = ((("module",), FATES, ran), ((), FATES, ran), ((), ("fate",), short), ((), ("fate",), ()))
    for layer, each_fate, of_run in tried:
        # A column that says the same in every row says it once, below.
        names = [*layer, "shape", *different, "elements", *each_fate, *of_run]
        roles = [COLUMNS["role"] if each_fate is FATES else SHORT_ROLE] if is_mixed else []
        columns = [path, *roles, *(COLUMNS[name] for name in names)]
        # The headings alone tell most screens that there is no room.
        if sum(len(each.header) + GAP for each in columns[1:]) + longest > screen.width:
            continue
        needed = sum(max(column_width(cells_of(each)), len(each.header)) + GAP for each in columns[1:])
        if needed + longest <= screen.width:
            break
    return columns, [cells_of(each) for each in columns]
