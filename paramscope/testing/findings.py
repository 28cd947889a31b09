"""Findings that are not as expected → each in full, with its line and what to write instead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from paramscope import text
from paramscope.config import read_config
from paramscope.exceptions.apply import as_declared
from paramscope.report.face import Report
from paramscope.report.finding import Severity
from paramscope.testing.message import Unmet


def check_findings(report: Report, asked: Severity | tuple[str, ...]) -> Iterator[Unmet]:
    """What is found and should not be, and codes that should be found and are not.

    asked: the least severity of which nothing may be found; or the codes of all warnings and errors.
    """
    expected = () if isinstance(asked, Severity) else asked
    least = asked if isinstance(asked, Severity) else Severity.WARNING
    found = [each for each in as_declared(report, read_config(Path.cwd())).findings if each.severity >= least]
    others = [each for each in found if each.code not in expected]
    if others:
        wanted = f"none but {', '.join(expected)}" if expected else "none"
        count = text.plural(len(others), "finding")
        lines = tuple(line for each in others for line in str(each).splitlines())
        yield Unmet(f"findings: expected {wanted} of severity {least.value} or above, found {count}", lines)
    met = {each.code for each in found}
    for code in expected:
        if code not in met:
            skipped = next((each.reason for each in report.skipped if each.code == code), "the rule finds nothing")
            yield Unmet(f"findings: expected {code}, and it is not found: {skipped}")
