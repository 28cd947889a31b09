"""Report → table for a terminal: slots with their four fates, totals, sharing, and what optimizers step."""

from __future__ import annotations

from collections.abc import Sequence

from paramscope import text
from paramscope.render._columns import COLUMNS, SHORT_ROLE, Column, chosen, line_codes, words
from paramscope.render._findings import finding_lines, legend
from paramscope.render._lines import Line, Selection, lines_of, nothing
from paramscope.render.terminal._layout import GAP, Screen, column_width, grid, sentence
from paramscope.render.terminal._optimizers import optimizer_lines
from paramscope.render.terminal._totals import note_lines, sharing_lines, title, total_lines
from paramscope.report.data import ReportData
from paramscope.snapshot import FATES, NO_OPTIMIZER

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
        title(report, width),
        _slot_lines(report, lines.shown, wanted, screen) if lines.shown else [nothing(report, selection)],
        total_lines(report, width, lines.left_out),
        finding_lines(report, screen),
        sharing_lines(report, lines.rows, width),
        optimizer_lines(report, lines.rows, screen),
        note_lines(report, width),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _slot_lines(report: ReportData, lines: list[Line], wanted: list[Column], screen: Screen) -> list[str]:
    told: list[str] = []
    names = [line.record.status for line in lines]
    if wanted:
        columns, cells = wanted, [[column.cell(line, report) for line in lines] for column in wanted]
        is_full = all(column.header != "fate" for column in wanted)
    else:
        columns, cells, told = _fitting(report, lines, screen)
        is_full = not any(column.header == "fate" for column in columns)
    right = [i for i, column in enumerate(columns) if column.is_right]
    styles = [line.closed.common["status"] if line.closed else name for line, name in zip(lines, names, strict=True)]
    drawn = grid(cells, [column.header for column in columns], right=right, screen=screen, styles=styles)
    if not is_full:
        some = ", ~ some" if any(line.closed for line in lines) else ""
        told.append(f"fate: g gets gradients, s stepped, v saved, m moved by .to(); - not, ? unknown{some}")
    told += _reasons(lines)
    if any(line.is_counted for line in lines) and COLUMNS["elements"] in columns:
        told.append("elements in parentheses were counted above")
    if any(line.marks for line in lines):
        told.append("=1, ~1: see sharing")
    if any(map(line_codes, lines)):
        told.append(legend(report))
    return [*drawn, "", *sentence(told, screen.width, separator="; ")] if told else drawn


def _fitting(
    report: ReportData, lines: list[Line], screen: Screen
) -> tuple[list[Column], list[list[str]], list[str]]:
    """The columns that fit the screen, their cells, and in words what the columns left out would say in every row."""
    paths = [COLUMNS["path"].cell(line, report) for line in lines]
    uniform = {
        name: {
            line.closed.common[name] if line.closed else getattr(line.record, name)
            for line in lines
            if line.record.status != "empty"
        }
        for name in ("dtype", "device")
    }
    longest = min(max(column_width(paths), len("path")), max(NARROWEST_PATH, screen.width // 3))
    for is_full in (True, False):
        # A column that says the same in every row says it once, where columns are scarce.
        varied = [name for name in ("dtype", "device") if is_full or len(uniform[name]) > 1]
        names = ["shape", *varied, "elements", *(FATES if is_full else ("fate",))]
        columns = [COLUMNS["path"], COLUMNS["role"] if is_full else SHORT_ROLE, *(COLUMNS[name] for name in names)]
        cells = [paths, *([column.cell(line, report) for line in lines] for column in columns[1:])]
        needed = sum(
            max(column_width(column), len(head.header)) + GAP
            for column, head in zip(cells[1:], columns[1:], strict=True)
        )
        if is_full and needed + longest <= screen.width:
            break
    return columns, cells, _same_everywhere(uniform, varied)


def _same_everywhere(uniform: dict[str, set[str | None]], columns: Sequence[str]) -> list[str]:
    """What the columns that were left out would say in every row: `all float32 on cpu`."""
    same = {name: str(*values) for name, values in uniform.items() if name not in columns and len(values) == 1}
    if not same:
        return []
    what = f"all {same['dtype']}" if "dtype" in same else "all"
    return [f"{what} on {same['device']}" if "device" in same else what]


def _reasons(lines: list[Line]) -> list[str]:
    """Why some fates are not known, each reason once."""
    found = dict.fromkeys(reason for line in lines for _, reason in line.record.unknown)
    return [
        "stepped is unknown without an optimizer (-O)" if reason == NO_OPTIMIZER else f"?: {text.name(reason)}"
        for reason in found
    ]
