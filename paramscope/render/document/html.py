"""Report → HTML: a folded table whose rows open and which needs no script, for notebooks; a page of its own has a
map, a table and findings that lead to one another, besides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from html import escape

from paramscope import text
from paramscope.render._chosen import STATUSES, Selection, nothing
from paramscope.render._columns import words
from paramscope.render._line import Line
from paramscope.render._lines import lines_of
from paramscope.render._page import remarks, title, totals
from paramscope.render._pieces import Name, Pieces, told
from paramscope.render.document._app import NO_APP, App, app_of
from paramscope.render.document._html_style import PAGE, STYLE
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

LINES = 2_000
"""Lines that are listed."""
INSIDE = 4_000
"""Paths that all the lines that open hold together."""
_MANY = 12
"""Columns beyond which a table is printed in small letters."""
_EACH = 100
"""Paths that one of them holds."""
_SORTS = {"path": "name", "elements": "-elements", "bytes": "-bytes", "status": "status", "dtype": "dtype"}
"""How the page's table is sorted."""
_STATUSES = (*STATUSES, "mixed", "")


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
    page: bool = True,
    script: bool = True,
) -> str:
    """Slots as a table of at most 2,000 lines, totals, sharing, optimizers and findings.

    fold: repeated siblings as one line, which opens, and empty slots left out. path: a glob; only slots that match
    are listed, the totals stay those of the model. status: what the slots have to be: `trainable`, `frozen,hidden`.
    sort: `model`, `path`, `elements`, `bytes`, `status` or `dtype`. depth: modules so many steps below the root are
    one line. cost: also what training takes in memory. plan: a mesh, `fsdp=64,tp=8`: also what each of its ranks
    would hold. page: a whole page; else only its body with its style, as a notebook wants it. script: whether a whole
    page has the map and the table that can be searched, for those who let it run; it loads nothing, and its file is
    1.7 MB larger.

    Raises GlobError where the glob matches nothing, FormatError for a choice that does not exist, MeshError for a
    mesh that cannot be.
    """
    selection = Selection(fold, path, words(status), sort, depth)
    lines = lines_of(report, selection)
    tag = "h1" if page else "p"
    named, figures = f'<{tag} class="ps-title">{html_of(title(report))}</{tag}>', totals(report, lines)
    sums = [f"<p>{escape(' · '.join(each))}</p>" for each in figures]
    listed = _findings(report)
    listed += _slots(report, lines.shown) if lines.shown else [f"<p>{escape(nothing(report, selection))}</p>"]
    rest = [_section(section) for section in cost_sections(report)] if cost else []
    rest += [] if plan is None else [_section(section) for section in plan_sections(report, plan)]
    rest += [_section(section) for section in sections(report, lines.rows)]
    heading = "".join(text.name(piece) for piece in title(report))
    if not (page and script):
        return whole("\n".join([named, *listed, *sums, *rest]), heading, is_page=page)
    start = {
        "q": path or "",
        "status": ",".join(selection.status),
        "sort": _SORTS.get(sort, ""),
        "fold": "1" if fold else "0",
    }
    printed = ['<div class="ps-printed">', *listed, "</div>"]
    body = ['<div id="ps-theme"></div>', named, *sums, '<main id="ps-app"></main>', *printed, *rest]
    return whole("\n".join(body), heading, app=app_of(report, start, cost=cost, depth=depth))


def whole(body: str, title: str, *, is_page: bool = True, app: App = NO_APP) -> str:
    """A page, or only its body with its style. app: what runs in it."""
    if not is_page:
        return f'<div class="paramscope">\n<style>\n{STYLE}</style>\n{body}\n</div>\n'
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Whatever is overlooked runs nothing and loads nothing.
        f'<meta http-equiv="Content-Security-Policy" content="{app.policy}">\n'
        f"<title>{escape(title)}</title>\n<style>\n{PAGE}{STYLE}{app.style}</style>\n</head>\n<body>\n"
        f'<div class="paramscope">\n{body}\n</div>\n{app.scripts}</body>\n</html>\n'
    )


def html_of(pieces: Pieces) -> str:
    """A text."""
    return "".join(
        f"<code>{_data(piece)}</code>" if isinstance(piece, Name) else escape(piece) for piece in told(pieces)
    )


_RANGES = re.compile(r"\[[0-9,:-]+\]")


def _data(name: str) -> str:
    return _RANGES.sub(r'<span class="ps-one">\g<0></span>', escape(text.name(name) or '""'))


def _findings(report: ReportData) -> list[str]:
    severities = [finding.severity.value for finding in report.findings]
    # What follows the findings says how many there are more, or were ignored.
    kinds = [*severities, *["info"] * 2]
    return [
        f'<div class="ps-{kind}">{html_of(point)}</div>' for kind, point in zip(kinds, findings(report), strict=False)
    ]


def _slots(report: ReportData, lines: list[Line]) -> list[str]:
    grid = slot_grid(report, lines, LINES)
    openings = _Openings(report)
    wide = {0: [openings.html(line, cell[0]) for line, cell in zip(lines, grid.rows, strict=False)]}
    kinds = [found if (found := line.common("status")) in _STATUSES else "unknown" for line in lines[:LINES]]
    drawn = drawn_grid(grid, wide, [f' class="ps-{kind}"' for kind in kinds])
    if len(lines) > LINES:
        more = text.plural(len(lines) - LINES, "more line")
        drawn += f"\n<p>… and {more}: choose with path, status or depth, or take another format</p>"
    told = "; ".join(map(html_of, remarks(lines, grid.headers)))
    return [drawn, f'<p class="ps-quiet">{told}</p>'] if told else [drawn]


class _Openings:
    """First cells, which open where a line stands for several slots; together they hold no more than INSIDE paths."""

    def __init__(self, report: ReportData) -> None:
        self._path_at: Callable[[int], str] = report.slots.path_at
        self._left = INSIDE

    def html(self, line: Line, cell: Pieces) -> str:
        if len(line.slots) < 2 or self._left <= 0:
            return html_of(cell)
        shown = min(_EACH, self._left, len(line.slots))
        self._left -= shown
        items = "".join(f"<li><code>{_data(self._path_at(slot))}</code></li>" for slot in line.slots[:shown])
        if len(line.slots) > shown:
            items += f"<li>… and {len(line.slots) - shown:,} more</li>"
        return f"<details><summary>{html_of(cell)}</summary><ul>{items}</ul></details>"


def drawn_grid(grid: Grid, wide: dict[int, list[str]], attributes: Sequence[str]) -> str:
    """A table. wide: finished cells of columns that may take more than one line."""
    classes = {**dict.fromkeys(grid.right, ' class="ps-right"'), **dict.fromkeys(wide, ' class="ps-wide"')}
    heads = "".join(f'<th scope="col"{classes.get(i, "")}>{head}</th>' for i, head in enumerate(grid.headers))
    rows = "".join(
        f"<tr{attributes[number] if attributes else ''}>{''.join(_cells(grid, number, row, wide, classes))}</tr>\n"
        for number, row in enumerate(grid.rows)
    )
    many = " ps-many" if len(grid.headers) > _MANY else ""
    head = f"<thead><tr>{heads}</tr></thead>"
    return f'<div class="ps-scroll{many}"><table>\n{head}\n<tbody>\n{rows}</tbody>\n</table></div>'


def _cells(
    grid: Grid, number: int, row: list[Pieces], wide: dict[int, list[str]], classes: dict[int, str]
) -> Iterator[str]:
    for i, (head, cell) in enumerate(zip(grid.headers, row, strict=True)):
        # In a narrow place cells stand below one another, each with its heading.
        label = f' data-label="{head}"' if i not in wide and head != "status" else ""
        drawn = wide[i][number] if i in wide else html_of(cell)
        if head == "status":
            drawn = f'<span class="ps-status">{drawn}</span>'
        elif drawn == "no":
            drawn = '<span class="ps-no">no</span>'
        yield f"<td{classes.get(i, '')}{label}>{drawn}</td>"


def _section(section: Section) -> str:
    parts = []
    if section.grid:
        last = len(section.grid.headers) - 1
        wide = {} if last in section.grid.right else {last: [html_of(row[last]) for row in section.grid.rows]}
        parts.append(drawn_grid(section.grid, wide, []))
    if section.points:
        parts.append(f"<ul>{''.join(f'<li>{html_of(point)}</li>' for point in section.points)}</ul>")
    heading = f"<summary>{html_of(section.heading)}</summary>"
    return f'<details class="ps-section" open>{heading}\n{"".join(parts)}\n</details>'
