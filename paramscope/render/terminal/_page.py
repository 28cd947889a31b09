"""What a view says → lines of a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from paramscope import text
from paramscope.analysis.fold import Row
from paramscope.render import _page as page
from paramscope.render._line import Line
from paramscope.render._lines import Lines
from paramscope.render._over_ranks import sentences as rank_sentences
from paramscope.render._pieces import Pieces, flat
from paramscope.render._ran import sentences as run_sentences
from paramscope.render.terminal._layout import GAP, Screen, column_width, grid, paint, sentence
from paramscope.report.data import ReportData
from paramscope.snapshot import OptimizerRecord

_SHARING, _ROWS, _GROUPS = 12, 8, 20
"""What is listed of sharing, of the rows of one set of slots, and of the groups of one optimizer; JSON holds all."""


def title(report: ReportData, width: int, *, also: str = "") -> list[str]:
    """What was audited. also: what is said of it besides."""
    return text.wrap_path(flat(page.title(report)) + (f", {also}" if also else ""), width)


def total_lines(report: ReportData, width: int, lines: Lines | None = None) -> list[str]:
    """The line of peft's print_trainable_parameters, and what it leaves out."""
    counts, more = page.totals(report, lines)
    said = sentence(counts, width, separator=" || ")
    if len(said) > 1:
        sums = report.totals
        percent = text.percent(sums.trainable, sums.parameters)
        said = sentence([f"{counts[0]} of {text.count(sums.parameters)}", f"({percent}%)"], width, separator=" ")
    seen = [*run_sentences(report), *rank_sentences(report)]
    ran = [line for each in seen for line in sentence(flat(each).split(" "), width, separator=" ")]
    return said + sentence(more, width, separator=" · ") + ran


def optimizer_sums(report: ReportData, width: int) -> list[str]:
    """A line for each optimizer."""
    return [line for each in page.optimizer_sums(report)[:_GROUPS] for line in sentence([flat(each)], width)]


def remark_lines(remarks: Sequence[Pieces], width: int) -> list[str]:
    """What the columns and glyphs of a drawing mean."""
    return sentence(list(map(flat, remarks)), width, separator="; ") if remarks else []


def with_remarks(drawn: list[str], remarks: Sequence[Pieces], width: int) -> list[str]:
    """A drawing, and below it what its columns and glyphs mean."""
    return [*drawn, "", *remark_lines(remarks, width)] if remarks else drawn


def style_of(line: Line) -> str:
    """What `paint` knows of a line: what of it trains, and whether that is stepped."""
    closed, record = line.closed, line.record
    if closed is None or not closed.has_parameters:
        status = "hidden" if closed is not None and closed.learns else line.common("status")
        is_forgotten = status == "trainable" and record.stepped is False
    else:
        status = "frozen" if closed.fates[0] == "-" else "trainable"
        is_forgotten = closed.fates[:2] == ("yes", "-")
    return "warning" if is_forgotten else status


def line_grid(
    lines: Sequence[Line],
    columns: Sequence[Sequence[str]],
    headers: Sequence[str],
    *,
    screen: Screen,
    right: Sequence[int],
    styles: Sequence[str | None],
) -> list[str]:
    """A grid of lines, by their paths. Where it is too wide, the modules that all paths begin with are said once,
    above them."""
    cells, heads = list(columns), list(headers)
    needed = sum(max(column_width(column), len(head)) + GAP for column, head in zip(cells, heads, strict=True))
    if needed - GAP > screen.width and (shared := _shared_beginning(lines)):
        cells[0] = [cell.removeprefix(shared) for cell in cells[0]]
        heads[0] = f"path in {text.name(shared[:-1])}"
    return grid(cells, heads, screen=screen, right=right, styles=styles)


def _shared_beginning(lines: Sequence[Line]) -> str:
    """The modules that all paths begin with, `base_model.model.`; nothing where there is one line."""
    first, *others = (line.path for line in lines)
    steps = first.split(".")[:-1] if others else []
    while steps and not all(path.startswith(".".join(steps) + ".") for path in others):
        steps.pop()
    return ".".join(steps) + "." if steps else ""


def sharing_lines(report: ReportData, rows: list[Row], width: int) -> list[str]:
    """Who shares memory with whom; nothing where nobody does."""
    points = page.sharing(report, rows)
    lines = ["sharing"] if points else []
    for words, items in points[:_SHARING]:
        first, *rest = map(flat, items)
        lines += sentence([flat(words) + first, *rest], width, indent="  ")
    return lines + _more(len(points) - _SHARING, "group", "  ")


def optimizer_lines(report: ReportData, rows: list[Row], screen: Screen) -> list[str]:
    """Groups, with what they hold that is foreign, trainable slots in no group, slots in several; nothing without an
    optimizer."""
    foreign: dict[tuple[str, int], list[page.Foreign]] = {}
    for each in page.foreign(report):
        foreign.setdefault(each.group, []).append(each)
    lines: list[str] = []
    for optimizer in report.optimizers:
        groups = optimizer.groups[:_GROUPS]
        headers, figures = page.group_figures(report, optimizer, groups)
        columns = list(zip(*figures, strict=True)) or [()] * len(headers)
        lines += optimizer_title(optimizer, screen)
        lines += grid(columns, headers, right=range(1, len(headers)), screen=screen)
        lines += _more(len(optimizer.groups) - _GROUPS, "group", "  ")
        for group in groups:
            first, *rest = map(flat, page.options(group) or [[]])
            lines += sentence(
                [f"group {group.index}: {first}" if first else f"group {group.index}", *rest],
                screen.width,
                indent="  ",
            )
            if len(optimizer.groups) > 1:
                lines += _listed(page.rows_of(report, rows, group.slots), screen.width, "    ")
            strange = foreign.get((optimizer.name, group.index), [])
            for each in strange[:_ROWS]:
                words = flat(["foreign: ", *each.what, ", not in the model", *each.became]).split(" ")
                said = sentence(words, screen.width, indent="    ", separator=" ")
                lines += [paint(line, "warning", screen) for line in said]
            lines += _more(len(strange) - _ROWS, "foreign tensor", "    ")
    return lines + disagreements(report, rows, screen)


def optimizer_title(optimizer: OptimizerRecord, screen: Screen) -> list[str]:
    """The heading of what is said of an optimizer."""
    said = sentence([flat(page.optimizer_title(optimizer))], screen.width)
    return [paint(line, "heading", screen) for line in said]


def disagreements(report: ReportData, rows: list[Row], screen: Screen) -> list[str]:
    """Trainable slots in no group, and slots in several; nothing without an optimizer."""
    lines = []
    for words, items in page.disagreements(report, rows):
        lines += [paint(flat(words).rstrip(), "warning", screen), *_listed(items, screen.width, "  ")]
    return lines


def note_lines(report: ReportData, width: int) -> list[str]:
    """What was not looked into, and why."""
    return [line for note in page.notes(report) for line in text.wrap_words(f"note: {flat(note)}", width)]


def _listed(rows: Sequence[Pieces], width: int, indent: str) -> list[str]:
    """Rows, each on lines of its own, the first few of them."""
    lines = [line for row in rows[:_ROWS] for line in sentence([flat(row)], width, indent=indent)]
    return lines + _more(len(rows) - _ROWS, "row", indent)


def _more(number: int, noun: str, indent: str) -> list[str]:
    return [f"{indent}… and {text.plural(number, f'more {noun}')}"] if number > 0 else []
