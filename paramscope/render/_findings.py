"""Findings in order and counted: what every format says of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath

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


def in_checkout(line: Location, variable: str) -> str:
    """The file of a line as a build server names it: from the root of the checkout, which a variable of its
    environment says, for what lies below that; else as it is shown."""
    root = os.environ.get(variable, "")
    file = line.file
    if os.path.isabs(root) and os.path.isabs(line.path) and PurePath(line.path).is_relative_to(root):
        file = str(PurePath(line.path).relative_to(root))
    return file.replace("\\", "/")


def said_of_no_line(finding: Finding) -> str:
    """That the place which a viewer asks for is not the line to blame; empty where it is."""
    if finding.location is not None:
        return ""
    why = f" ({plain(finding.unlocated)})" if finding.unlocated else ""
    return f"The line to blame is not known{why}; this one is only where the class or the file begins."
