"""Findings → lines of a terminal."""

from __future__ import annotations

from paramscope import text
from paramscope.render._findings import by_severity, counted
from paramscope.render.terminal._layout import Screen, paint
from paramscope.report.data import ReportData
from paramscope.report.finding import Finding, Severity
from paramscope.text import plain

LISTED = 10
"""Findings that a view lists before it counts the rest."""
_STYLES = {Severity.ERROR: "hidden", Severity.WARNING: "warning", Severity.INFO: "info"}
"""What `paint` knows them by: red, yellow, cyan."""


def lines_of(
    finding: Finding,
    screen: Screen,
    *,
    label: str = "",
    reason: str = "",
    with_help: bool = True,
    with_unlocated: bool = False,
) -> list[str]:
    """A finding as a terminal shows it: where and what in the first line, behind a label, then why, and what to write
    instead; with_unlocated: why no line is known, too."""
    head = f"{label}{finding.place}: {finding.severity.value} {plain(finding.code)} {plain(finding.name)}"
    lines = [paint(line, _STYLES[finding.severity], screen) for line in text.wrap_words(head, screen.width)]
    said = {
        "": finding.message,
        "help: ": finding.help if with_help else "",
        "no line: ": finding.unlocated if with_unlocated else "",
        "ignored: ": reason,
    }
    for label, words in said.items():
        if words or not label:
            lines += hanging(plain(words), f"  {label}", screen.width)
    return lines


def hanging(words: str, label: str, width: int, rest: str | None = None) -> list[str]:
    """A text behind a label, its further lines as far in as its first, or as `rest` is."""
    rest = " " * len(label) if rest is None else rest
    wrapped = text.wrap_words(words, max(16, width - len(rest)))
    return [(rest if number else label) + line for number, line in enumerate(wrapped)]


def finding_lines(report: ReportData, screen: Screen) -> list[str]:
    """The block of a view: the worst findings, and a count of the rest; nothing for none."""
    findings = by_severity(report.findings)
    if not findings:
        return []
    lines = [paint("findings", "heading", screen)]
    inner = screen._replace(width=screen.width - 2)
    for finding in findings[:LISTED]:
        lines += [f"  {line}" for line in lines_of(finding, inner)]
    if len(findings) > LISTED:
        lines += [f"  … and {counted(findings[LISTED:])}: paramscope check lists them"]
    return lines
