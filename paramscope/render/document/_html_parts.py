"""Report → what a document says of it: titles, grids and points, in pieces that HTML and Markdown each escape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from paramscope import text
from paramscope.analysis.fold import Row
from paramscope.render._columns import COLUMNS, elements, line_codes, shape
from paramscope.render._lines import SHARING_MARKS, Line, sharing_groups
from paramscope.render.document._html_pieces import Name, Pieces, Prose
from paramscope.report.data import ReportData
from paramscope.report.finding_codes import shown
from paramscope.snapshot import FATES, NO_OPTIMIZER, GroupRecord

_NAMED = 8
"""Names in one point before the rest is counted."""
LISTED = 50
"""Points and groups of one kind before the rest is counted."""


class Grid(NamedTuple):
    """A table."""

    headers: list[str]
    right: frozenset[int]
    """Positions of columns that are aligned to the right."""
    rows: list[list[Pieces]]


class Section(NamedTuple):
    """Something to be said under a heading."""

    heading: Pieces
    grid: Grid | None
    points: list[Pieces]


def title(report: ReportData) -> Pieces:
    """What was audited: the target, the class of each root, and its mode."""
    paths = report.snapshot.module_columns.paths
    # Not by path: to find one, all would be indexed.
    roots = [report.modules.at(paths.index(path)) for path in report.snapshot.roots]
    modes = {root.training for root in roots}
    mode = "mixed modes" if len(modes) > 1 else "training mode" if modes.pop() else "eval mode"
    kinds = _listed([Name(root.type.rpartition(".")[2]) for root in roots], separator=" + ")
    return [*([Name(report.target), ": "] if report.target else []), *kinds, f", {mode}"]


def _path(line: Line) -> Pieces:
    """The path of a line, with the number of slots, or of closed modules, where they are several."""
    times = line.closed.modules if line.closed else len(line.slots)
    marks = [piece for mark in (*line.marks.split(), shown(line_codes(line))) if mark for piece in (" ", Name(mark))]
    return [Name(line.path) if line.path else "the root", f" ×{times}" if times > 1 else "", *marks]


def status(line: Line) -> str:
    """The one word for what a line is; `mixed` where a closed module holds several kinds."""
    return line.closed.common["status"] if line.closed else line.record.status


def slot_grid(report: ReportData, lines: list[Line], shown: int) -> Grid:
    """The first lines of a view. A column that would say the same in each line is left to `legend`."""
    varied = [name for name in ("dtype", "device") if len(_values(lines, name)) > 1]
    cells: dict[str, Callable[[Line], Pieces]] = {
        "path": _path,
        "status": lambda line: [status(line)],
        "shape": lambda line: [shape(line)],
        **{name: _column(report, name) for name in varied},
        "elements": lambda line: [elements(line)],
        **{fate: _column(report, fate) for fate in FATES if fate != "stepped" or report.optimizers},
    }
    if sum(len(optimizer.groups) for optimizer in report.optimizers) > 1:
        cells["groups"] = _groups
    headers = list(cells)
    rows = [[cell(line) for cell in cells.values()] for line in lines[:shown]]
    return Grid(headers, frozenset([headers.index("elements")]), rows)


def legend(report: ReportData, lines: list[Line]) -> list[Pieces]:
    """What the columns that were left out would say, why some fates are unknown, and what the marks mean."""
    found: list[Pieces] = []
    same = {name: values.pop() for name in ("dtype", "device") if len(values := _values(lines, name)) == 1}
    if same:
        what: Pieces = ["all ", Name(same["dtype"])] if "dtype" in same else ["all"]
        found.append([*what, " on ", Name(same["device"])] if "device" in same else what)
    if not report.optimizers:
        found.append([f"what is stepped is unknown: {NO_OPTIMIZER}"])
    reasons = dict.fromkeys(reason for line in lines for _, reason in line.record.unknown if reason != NO_OPTIMIZER)
    found += [["? ", Prose(reason)] for reason in list(reasons)[:_NAMED]]
    if any(line.is_counted for line in lines):
        found.append(["elements in parentheses were counted above"])
    mark = next((line.marks.split()[0] for line in lines if line.marks), None)
    if mark:
        found.append([Name(mark), ": see sharing"])
    codes = next(filter(None, map(line_codes, lines)), ())
    if codes:
        found.append([Name(f"!{codes[0]}"), ": see the findings"])
    return found


def sections(report: ReportData, rows: list[Row]) -> list[Section]:
    """What is said after the slots: sharing, what each optimizer does, and what was not looked into."""
    found = [Section(["Sharing"], None, _sharing(report, rows))]
    found += [
        Section(
            ["Optimizer ", Name(optimizer.name), ": ", Name(optimizer.type.rpartition(".")[2])],
            _group_grid(report, optimizer.groups[:LISTED]),
            _more(len(optimizer.groups) - LISTED, "group"),
        )
        for optimizer in report.optimizers[:LISTED]
    ]
    if len(report.optimizers) > LISTED:
        found.append(Section(["More optimizers"], None, _more(len(report.optimizers) - LISTED, "optimizer")))
    found.append(Section(["Optimizers and this model do not agree"], None, _disagreements(report, rows)))
    notes: list[Pieces] = [
        [Name(note.path) if note.path else "the root", ": ", Prose(note.text)]
        for note in report.snapshot.notes[:LISTED]
    ]
    notes += _more(len(report.snapshot.notes) - LISTED, "note")
    found.append(Section(["Notes"], None, notes))
    return [section for section in found if section.grid or section.points]


def findings(report: ReportData) -> list[Pieces]:
    """What is wrong or worth knowing, most severe first, each with its place and what to do."""
    found: list[Pieces] = []
    for finding in report.findings[:LISTED]:
        head = [finding.severity.value, " ", Name(finding.code), " ", Name(finding.name), ": "]
        where = finding.location
        place = [" at ", Name(f"{where.file}:{where.line}")] if where else []
        stop = "" if finding.message.endswith((".", "!", "?")) else "."
        advice = [f"{stop} ", Prose(finding.help)] if finding.help else []
        paths = _listed([Name(path) if path else "the root" for path in finding.paths], _NAMED // 2)
        found.append([*head, Prose(finding.message), *advice, " (", *paths, ")", *place])
    found += _more(len(report.findings) - LISTED, "finding")
    if report.ignored:
        found.append([f"{text.plural(len(report.ignored), 'finding')} ignored on request"])
    return found


def _values(lines: list[Line], name: str) -> set[str]:
    if not lines:
        return set()
    return {
        line.closed.common[name] if line.closed else getattr(line.record, name) or "unknown"
        for line in lines
        if line.closed or line.record.status != "empty"
    }


def _column(report: ReportData, name: str) -> Callable[[Line], Pieces]:
    cell = COLUMNS[name].cell
    if name in FATES:
        return lambda line: ["no" if (word := cell(line, report)) == "-" else word]
    return lambda line: [Name(word)] if (word := cell(line, report)) else []


def _groups(line: Line) -> Pieces:
    if line.closed:
        return []
    return _joined((Name(f"{place.optimizer}:{place.group}") for place in line.record.groups[:_NAMED]), " ")


def _sharing(report: ReportData, rows: list[Row]) -> list[Pieces]:
    groups = sharing_groups(report, rows)
    row_of = {slot: row for row in rows for slot in row.slots} if groups else {}
    found: list[Pieces] = []
    for number, (kind, records) in enumerate(groups[:LISTED], 1):
        members = {row_of[slot].path: row_of[slot] for slot in records[0]}
        storages = {report.slots.at(slot).storage for slot in records[0]}
        # torch itself cannot know of these, nor can whoever saves the model.
        across = f" across {len(storages)} storages" if len(storages) > 1 else ""
        times = f" ×{len(records)}" if len(records) > 1 else ""
        names = _listed([Name(path) for path in members])
        found.append([Name(f"{SHARING_MARKS[kind]}{number}"), f" {kind}{across}{times}: ", *names])
    return found + _more(len(groups) - LISTED, "group")


def _group_grid(report: ReportData, groups: Sequence[GroupRecord]) -> Grid:
    rows: list[list[Pieces]] = []
    for group in groups:
        told = [
            Name(f"{name} {text.option(value)}")
            for name, value in group.options
            # Switches that are off go without saying.
            if value is not False and value is not None
        ]
        figures = [
            str(group.index),
            text.count(len(group.slots) + len(group.foreign)),
            text.count(group.numel),
            f"{text.percent(group.numel, report.totals.parameters)}%",
            text.nbytes(group.state_nbytes),
        ]
        rows.append([*([figure] for figure in figures), _listed(told, 2 * _NAMED)])
    headers = ["group", "tensors", "elements", "of the model", "state", "options"]
    return Grid(headers, frozenset(range(5)), rows)


def _disagreements(report: ReportData, rows: list[Row]) -> list[Pieces]:
    found: list[Pieces] = []
    for label, slots in (
        ("trainable, but in no group, so never stepped: ", report.not_stepped()),
        ("in more than one group: ", report.in_several_groups()),
    ):
        if slots:
            found.append([label, *_rows(rows, set(report.slots.positions(slot.path for slot in slots)))])
    strangers: list[Pieces] = []
    for optimizer in report.optimizers:
        for group in optimizer.groups:
            for stranger in group.foreign:
                what = [Name(stranger.name), " "] if stranger.name else []
                kind = Name(f"{text.shape(stranger.shape)} {stranger.dtype or 'no tensor'}")
                place = Name(f"{optimizer.name}[{group.index}][{stranger.position}]")
                became = (
                    ["; looks replaced by ", Name(stranger.replaced_by), " (by ", Name(stranger.evidence or "?"), ")"]
                    if stranger.replaced_by is not None
                    else []
                )
                strangers.append(["stepped, but not in the model: ", *what, kind, " at ", place, *became])
    return found + strangers[:LISTED] + _more(len(strangers) - LISTED, "tensor")


def _rows(rows: list[Row], slots: set[int]) -> Pieces:
    """Some slots as the rows they stand in."""
    found: list[Pieces] = []
    for row in rows:
        inside = sum(slot in slots for slot in row.slots)
        if inside:
            part = f" ({inside} of {len(row.slots)})" if inside < len(row.slots) else ""
            times = f" ×{len(row.slots)}" if len(row.slots) > 1 and not part else ""
            found.append([Name(row.path), f"{times}{part}"])
    shown = _joined_pieces(found[:_NAMED])
    return [*shown, f" and {text.plural(len(found) - _NAMED, 'more row')}"] if len(found) > _NAMED else shown


def _listed(names: Sequence[str], most: int = _NAMED, *, separator: str = ", ") -> list[str]:
    more = [f" and {len(names) - most:,} more"] if len(names) > most else []
    return [*_joined(names[:most], separator), *more]


def _joined(names: Iterable[str], separator: str) -> list[str]:
    return _joined_pieces([[name] for name in names], separator)


def _joined_pieces(parts: list[Pieces], separator: str = ", ") -> list[str]:
    return [piece for i, part in enumerate(parts) for piece in ([separator] if i else []) + list(part)]


def _more(number: int, noun: str) -> list[Pieces]:
    return [[f"… and {text.plural(number, f'more {noun}')}"]] if number > 0 else []
