"""Report → GitHub flavoured Markdown that fits a comment on a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from paramscope import text
from paramscope.render._chosen import Selection, nothing
from paramscope.render._columns import words
from paramscope.render._lines import Lines, lines_of
from paramscope.render._page import remarks, title, totals
from paramscope.render._pieces import Pieces
from paramscope.render.document._markdown_text import markdown, table
from paramscope.render.document._sections import (
    Grid,
    Section,
    cost_sections,
    findings,
    plan_sections,
    sections,
    slot_grid,
)
from paramscope.report.data import ReportData

MOST = 65_536
"""Characters that GitHub takes in a comment."""
_OPEN = 20
"""Lines of a table that is not put away in <details>."""
_LINES = 1_500
"""Lines that are tried: with the least that a line takes, more never fit."""
_PARTS = {"findings": 16_000, "section": 6_000, "sections": 20_000, "legend": 3_000}
"""Characters that each part may take; the slots have what is left."""


def render(
    report: ReportData,
    *,
    fold: bool = True,
    path: str | None = None,
    status: str | Sequence[str] = (),
    sort: str = "model",
    depth: int | None = None,
    cost: bool = False,
    plan: str | None = None,
) -> str:
    """A comment of at most 65,536 characters: slots, totals, sharing, optimizers and findings.

    fold: repeated siblings as one line, and empty slots left out. path: a glob; only slots that match are listed,
    the totals stay those of the model. status: what the slots have to be: `trainable`, `frozen,hidden`. sort:
    `model`, `path`, `elements`, `bytes`, `status` or `dtype`. depth: modules so many steps below the root are
    one line. cost: also what training takes in memory. plan: a mesh, `fsdp=64,tp=8`: also what each of its ranks
    would hold.

    Raises GlobError where the glob matches nothing, FormatError for a choice that does not exist, MeshError for a
    mesh that cannot be.
    """
    selection = Selection(fold, path, words(status), sort, depth)
    lines = lines_of(report, selection)
    before = [f"**{markdown(title(report))}**"]
    problems = findings(report)
    if problems:
        before.append(_points(f"**{text.plural(len(report.findings), 'finding')}**", problems, _PARTS["findings"]))
    after = ["  \n".join(" · ".join(figures) for figures in totals(report, lines))]
    if cost:
        after += [_section(section) for section in cost_sections(report)]
    if plan is not None:
        after += [_section(section) for section in plan_sections(report, plan)]
    after += _sections(report, lines)
    tried = slot_grid(report, lines.shown, _LINES)
    told = [markdown(each) for each in remarks(lines.shown, tried.headers)] if lines.shown else []
    notes = _fitting(told, _PARTS["legend"], "remark", separator="; ")
    room = MOST - sum(len(block) + 2 for block in [*before, notes, *after]) - 200
    slots = _slots(tried, len(lines.shown), room) if lines.shown else markdown([nothing(report, selection)])
    return "\n\n".join(block for block in [*before, slots, notes, *after] if block) + "\n"


def _slots(tried: Grid, lines: int, room: int) -> str:
    """As many of some lines as there is room for, and how many there are more."""
    drawn = table(tried)
    shown = len(tried.rows)
    if len(drawn) > room:
        # Filled up with spaces it would be more than a comment holds.
        drawn = table(tried, is_squeezed=True)
        rows = drawn.split("\n")
        used = 0
        for count, row in enumerate(rows):
            used += len(row) + 1
            if used > room:
                rows = rows[:count]
                break
        drawn, shown = "\n".join(rows), len(rows) - 2
    more = lines - shown
    if more:
        drawn += f"\n\n… and {text.plural(more, 'more line')}: `--depth`, `--path` and `--status` show fewer"
    if shown <= _OPEN and not more:
        return drawn
    heading = text.plural(lines, "line")
    return f"<details>\n<summary>{heading}</summary>\n\n{drawn}\n\n</details>"


def _sections(report: ReportData, lines: Lines) -> list[str]:
    found: list[str] = []
    left = _PARTS["sections"]
    rest = 0
    for section in sections(report, lines.rows):
        drawn = _section(section)
        if len(drawn) > left:
            rest += 1
            continue
        found.append(drawn)
        left -= len(drawn)
    if rest:
        found.append(f"… and {text.plural(rest, 'more section')} that would not fit")
    return found


def _section(section: Section) -> str:
    heading = f"**{markdown(section.heading)}**"
    if section.grid is None:
        return _points(heading, section.points, _PARTS["section"])
    grid = section.grid
    count = len(grid.rows)
    drawn = table(grid)
    while len(drawn) > _PARTS["section"] and count > 1:
        count //= 2
        drawn = table(Grid(grid.headers, grid.right, grid.rows[:count]), is_squeezed=True)
    more = [f"… and {text.plural(len(grid.rows) - count, 'more row')}"] if count < len(grid.rows) else []
    return "\n\n".join([heading, drawn, *more, *(markdown(point) for point in section.points)])


def _points(heading: str, points: Sequence[Pieces], limit: int) -> str:
    drawn = [f"- {markdown(point)}" for point in points]
    return f"{heading}\n\n{_fitting(drawn, limit, 'point', lead='- ')}"


def _fitting(parts: list[str], limit: int, noun: str, *, separator: str = "\n", lead: str = "") -> str:
    """As many parts as the limit allows, and how many there are more."""
    used = 0
    for count, part in enumerate(parts):
        used += len(part) + len(separator)
        if used > limit:
            more = f"{lead}… and {text.plural(len(parts) - count, f'more {noun}')}"
            return separator.join([*parts[:count], more])
    return separator.join(parts)
