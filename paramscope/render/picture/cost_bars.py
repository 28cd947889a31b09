"""Report → what training takes in memory as bars in SVG: now and at the first step, and then by module.

Called so since `cost` is the terminal's table of the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from paramscope import text
from paramscope.analysis.cost import Sums
from paramscope.render._cost import remarks, shortened, size
from paramscope.render._page import title
from paramscope.render._pieces import flat
from paramscope.render.picture import _drawing as draw
from paramscope.render.picture._drawing import HEAD, MARGIN, WIDTH, Box, Fill, Mark
from paramscope.report.cost import cost_of
from paramscope.report.data import ReportData

_FILLS = {
    "parameters": Fill("#0072b2", "#ffffff"),
    "gradients": Fill("#56b4e9", "#04121a", "/"),
    "optimizer_state": Fill("#e69f00", "#1a1000", "\\"),
    "buffers": Fill("#009e73", "#001a12", "-"),
    "activations": Fill("#cc79a7", "#1d0713", "|"),
}
_LISTED = 16
"""Modules that have a bar."""
_NAMES, _TOTALS = 150, 84
"""Pixels on the left and on the right of the bars."""
_BAR, _STEP, _LINE = 22, 30, 17
"""Pixels of a bar, from one to the next, and of a line of text."""


def render(report: ReportData) -> str:
    """Parameters, gradients, optimizer state, buffers and activations: now, at the first step, and then by top-level
    module, or by root. What is unknown is not in the bars, and said below. Of state that is not there yet, a fresh
    optimizer is asked."""
    now = cost_of(report)
    first = now.at_first_step or now
    moments = {"now": now.sums, **({"at the first step": first.sums} if now.at_first_step else {})}
    parts, y = _bars("", moments, HEAD)
    by = "root" if len(report.snapshot.roots) > 1 else "module"
    named = {name or "the root itself": sums for name, sums in first.by_module.items() if sums.total}
    if len(named) > 1:
        more, y = _bars(f"by {by}, at the first step", shortened(named, _LISTED), y + 6)
        parts += more
    for remark in remarks(report):
        for line in text.wrap_words(flat(remark), int((WIDTH - 2 * MARGIN) / (draw.EM * 12))):
            parts.append(draw.label(MARGIN, y + 14, line, size=12, is_quiet=True))
            y += _LINE
    legend = [
        Mark(fill, f"{_words(part)} {text.nbytes(number)}")
        for part, fill in _FILLS.items()
        if (number := getattr(first, part))
    ]
    figure = f"{size(now.total)} now, {size(first.total)} at the first step"
    told = f"Bars: memory that training takes, {figure}; then {draw.read_out(legend)}."
    return draw.card(WIDTH, int(y + MARGIN), flat(title(report)), figure, legend, told, parts)


def _bars(heading: str, rows: Mapping[str, Sums], y: float) -> tuple[list[str], float]:
    """(bars below a heading, where they end): all to one scale."""
    parts = []
    if heading:
        parts.append(draw.label(MARGIN, y + 13, heading, size=12, is_bold=True))
        y += _LINE + 6
    longest = max(sums.total or 0 for sums in rows.values())
    room = WIDTH - 2 * MARGIN - _NAMES - _TOTALS
    for name, sums in rows.items():
        x = float(MARGIN + _NAMES)
        parts.append(draw.label(x - 8, y + 15, draw.fitted(name, _NAMES - 8, 12), size=12, anchor="end"))
        for part, fill in _FILLS.items():
            nbytes = getattr(sums, part) or 0
            box = Box(x, y, room * nbytes / longest if longest else 0, _BAR)
            if nbytes:
                parts.append(draw.rect(box, fill.color, f"{text.name(name)}: {_words(part)} {text.nbytes(nbytes)}"))
                parts += draw.hatched(box, fill)
                parts += _figure(box, text.nbytes(nbytes), fill)
            x += box.w
        parts.append(draw.label(x + 8, y + 15, size(sums.total), size=12, is_bold=True))
        y += _STEP
    return parts, y


def _figure(box: Box, words: str, fill: Fill) -> list[str]:
    is_room = draw.text_width(words, 11) <= box.w - 10
    return [draw.label(box.x + 6, box.y + 15, words, ink=fill.ink)] if is_room else []


def _words(part: str) -> str:
    return part.replace("_", " ")
