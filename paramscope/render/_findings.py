"""Findings in order and counted: what every format says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from paramscope import text
from paramscope.report.finding import Finding, Location, Severity
from paramscope.text import plain

SEVERITIES = tuple(sorted(Severity, reverse=True))
"""Most severe first."""


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Most severe first, then by file and line; those without a line before those with one, as they stand."""
    return sorted(
        findings,
        key=lambda each: (-each.severity.rank, each.location or Location("", 0), each.code),
    )


def counted(findings: Iterable[Finding]) -> str:
    """`1 error, 2 warnings, 3 infos`; empty for none."""
    numbers = Counter(finding.severity for finding in findings)
    return ", ".join(text.plural(numbers[each], each.value) for each in SEVERITIES if numbers[each])


def verdict(findings: Iterable[Finding], ignored: int, *, nothing: str = "nothing found", how: str = "") -> str:
    """`1 error, 2 ignored`; nothing, how: what is said where there is none, and of those that are ignored."""
    return (counted(findings) or nothing) + (f", {ignored:,} ignored{how}" if ignored else "")


def said_of_no_line(finding: Finding) -> str:
    """That the place which a viewer asks for is not the line to blame; empty where it is."""
    if finding.location is not None:
        return ""
    why = f" ({plain(finding.unlocated)})" if finding.unlocated else ""
    return f"The line to blame is not known{why}; this one is only where the class or the file begins."
