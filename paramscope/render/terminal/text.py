"""Findings → text for a terminal: the worst first, each with its line, why it matters, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence

from paramscope import text
from paramscope.render._findings import Checked, by_severity, counted, everything, lines_of, skipped_lines
from paramscope.render.terminal._layout import Screen, paint
from paramscope.report.data import ReportData
from paramscope.report.finding import Finding
from paramscope.text import plain


def render(report: ReportData, *, width: int = 80, color: bool = False) -> str:
    """The findings of one report. width: terminal columns that no line passes. color: ANSI colours."""
    return render_checks([everything(report)], width=width, color=color)


def render_checks(
    checks: Sequence[Checked], *, width: int = 80, color: bool = False, show_ignored: bool = False
) -> str:
    """The findings of several targets, grouped by severity and file, and a summary. show_ignored: accepted ones,
    too, with the reasons."""
    screen = Screen(width, color)
    blocks: list[list[str]] = []
    for checked in checks:
        report = checked.report
        if len(checks) > 1 and (report.findings or (show_ignored and report.ignored)):
            blocks.append([paint(plain(checked.target), "heading", screen)])
        blocks += [lines_of(finding, screen, with_unlocated=True) for finding in by_severity(report.findings)]
        if show_ignored:
            blocks += [
                lines_of(finding, screen, reason=_reason(checked, finding), with_help=False)
                for finding in by_severity(report.ignored)
            ]
    blocks.append(_summary(checks, width, show_ignored=show_ignored))
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _summary(checks: Sequence[Checked], width: int, *, show_ignored: bool) -> list[str]:
    lines = []
    for checked in checks:
        report = checked.report
        told = counted(report.findings) or f"nothing found, {text.plural(_asked(checked), 'rule')} asked"
        if report.ignored:
            how = "" if show_ignored else " (--show-ignored lists them)"
            told += f", {len(report.ignored):,} ignored{how}"
        lines += text.wrap_words(f"{plain(checked.target)}: {told}", width)
    if len(checks) > 1:
        every = [finding for checked in checks for finding in checked.report.findings]
        lines += text.wrap_words(f"{len(checks):,} targets: {counted(every) or 'nothing found'}", width)
    told_already: dict[str, None] = {}
    for checked in checks:
        told_already.update(dict.fromkeys(skipped_lines(checked.report.skipped, width)))
    return [*lines, *told_already]


def _reason(checked: Checked, finding: Finding) -> str:
    why = checked.ignored.get(finding)
    return f"{why.reason} ({why.origin})" if why is not None else "the saved report does not say why"


def _asked(checked: Checked) -> int:
    """Rules that were asked and could answer."""
    skipped = {each.code for each in checked.report.skipped}
    return sum(loaded.rule.code not in skipped for loaded in checked.rules)
