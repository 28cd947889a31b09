"""What a view says → a document's grids and points, in pieces that HTML and Markdown each escape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from paramscope import text
from paramscope.analysis.fold import Row
from paramscope.render import _page as page
from paramscope.render._columns import COLUMNS, elements, line_codes, line_name, shape
from paramscope.render._cost import Table
from paramscope.render._cost import remarks as cost_remarks
from paramscope.render._cost import tables as cost_tables
from paramscope.render._line import Line
from paramscope.render._over_ranks import sentences as rank_sentences
from paramscope.render._pieces import Name, Pieces, Prose, joined, listed
from paramscope.render._plan import tables_and_remarks
from paramscope.render._ran import COLUMNS as RUN_COLUMNS
from paramscope.render._ran import sentences as run_sentences
from paramscope.report.data import ReportData
from paramscope.snapshot import FATES, OptimizerRecord

_NAMED = 8
"""Names in one point before the rest is counted."""
LISTED = 50
"""Points and groups of one kind before the rest is counted."""


class Grid(NamedTuple):
    """A table."""

    headers: Sequence[str]
    right: frozenset[int]
    """Positions of columns that are aligned to the right."""
    rows: list[list[Pieces]]


class Section(NamedTuple):
    """Something to be said under a heading."""

    heading: Pieces
    grid: Grid | None
    points: list[Pieces]


def slot_grid(report: ReportData, lines: list[Line], shown: int) -> Grid:
    """The first lines of a view. A column that would say the same in each line is left to the remarks."""
    cells: dict[str, Callable[[Line], Pieces]] = {
        "path": lambda line: line_name(line, line_codes(line)),
        "status": lambda line: [line.common("status")],
        "shape": lambda line: [shape(line)],
        **{name: _column(report, name) for name in page.varied(lines)},
        "elements": lambda line: [elements(line)],
        **{fate: _column(report, fate) for fate in FATES if fate != "stepped" or report.optimizers},
        **{name: _column(report, name) for name in (RUN_COLUMNS[report.run.kind] if report.run else ())},
    }
    if sum(len(optimizer.groups) for optimizer in report.optimizers) > 1:
        cells["groups"] = _groups
    headers = list(cells)
    rows = [[cell(line) for cell in cells.values()] for line in lines[:shown]]
    right = {at for at, name in enumerate(headers) if name in COLUMNS and COLUMNS[name].is_right}
    return Grid([COLUMNS[name].header if name in COLUMNS else name for name in headers], frozenset(right), rows)


def _column(report: ReportData, name: str) -> Callable[[Line], Pieces]:
    cell = COLUMNS[name].cell
    if name in FATES:
        return lambda line: ["no" if (word := cell(line, report)) == "-" else word]
    return lambda line: [Name(word)] if (word := cell(line, report)) else []


def _groups(line: Line) -> Pieces:
    if line.closed:
        return []
    return joined([[Name(f"{place.optimizer}:{place.group}")] for place in line.record.groups[:_NAMED]], " ")


def sections(report: ReportData, rows: list[Row]) -> list[Section]:
    """What is said after the slots: sharing, what each optimizer does, and what was not looked into."""
    optimizers, heading = report.optimizers, "Optimizers and this model do not agree"
    at_odds = [_point(each) for each in page.disagreements(report, rows)]
    foreign: list[Pieces] = [
        ["stepped, but not in the model: ", *each.what, " at ", each.place, *each.became]
        for each in page.foreign(report)
    ]
    found = [
        Section(["Run"], None, run_sentences(report)),
        Section(["Ranks"], None, rank_sentences(report)),
        Section(["Sharing"], None, _first([_point(each) for each in page.sharing(report, rows)], "group")),
        *(
            Section(
                ["Optimizer", *page.optimizer_title(optimizer)[1:]],
                _group_grid(report, optimizer),
                _more(len(optimizer.groups) - LISTED, "group"),
            )
            for optimizer in optimizers[:LISTED]
        ),
        Section(["More optimizers"], None, _more(len(optimizers) - LISTED, "optimizer")),
        Section([heading], None, [*at_odds, *_first(foreign, "tensor")]),
        Section(["Notes"], None, _first(page.notes(report), "note")),
    ]
    return [section for section in found if section.grid or section.points]


def cost_sections(report: ReportData) -> list[Section]:
    """What training takes in memory."""
    return _of_tables("Cost", "How the cost is known", cost_tables(report), cost_remarks(report))


def plan_sections(report: ReportData, mesh: str) -> list[Section]:
    """What each rank of a mesh would hold. Raises MeshError."""
    return _of_tables("Plan", "How the plan is known", *tables_and_remarks(report, mesh))


def _of_tables(heading: str, last: str, tables: list[Table], remarks: list[Pieces]) -> list[Section]:
    grids = [Grid(each.headers, frozenset(range(1, len(each.headers))), each.rows) for each in tables]
    return [
        *(Section([f"{heading} {grid.headers[0]}" if at else heading], grid, []) for at, grid in enumerate(grids)),
        Section([last], None, remarks),
    ]


def _group_grid(report: ReportData, optimizer: OptimizerRecord) -> Grid:
    groups = optimizer.groups[:LISTED]
    headers, figures = page.group_figures(report, optimizer, groups)
    rows: list[list[Pieces]] = [
        [*([figure] for figure in row), listed(page.options(group), 2 * _NAMED)]
        for group, row in zip(groups, figures, strict=True)
    ]
    return Grid([*headers, "options"], frozenset(range(len(headers))), rows)


def findings(report: ReportData) -> list[Pieces]:
    """What is wrong or worth knowing, most severe first, each with its place and what to do."""
    found: list[Pieces] = []
    for finding in report.findings[:LISTED]:
        head = [finding.severity.value, " ", Name(finding.code), " ", Name(finding.name), ": "]
        where = finding.location
        place = [" at ", Name(f"{where.file}:{where.line}")] if where else []
        stop = "" if finding.message.endswith((".", "!", "?")) else "."
        advice = [f"{stop} ", Prose(finding.help)] if finding.help else []
        paths = listed([[Name(path) if path else "the root"] for path in finding.paths], _NAMED // 2)
        found.append([*head, Prose(finding.message), *advice, " (", *paths, ")", *place])
    found += _more(len(report.findings) - LISTED, "finding")
    if report.ignored:
        found.append([f"{text.plural(len(report.ignored), 'finding')} ignored on request"])
    return found


def _point(point: page.Point) -> Pieces:
    return [*point.words, *listed(point.items, _NAMED)]


def _first(points: list[Pieces], noun: str) -> list[Pieces]:
    return points[:LISTED] + _more(len(points) - LISTED, noun)


def _more(number: int, noun: str) -> list[Pieces]:
    return [[f"… and {text.plural(number, f'more {noun}')}"]] if number > 0 else []
