"""Findings that are not as expected → each in full, with its line and what to write instead."""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import text
from paramscope.config import Config
from paramscope.exceptions.apply import as_declared
from paramscope.report.face import Report
from paramscope.report.finding import Severity
from paramscope.testing.message import Unmet


def check_findings(report: Report, asked: Severity | tuple[str, ...], config: Config) -> Iterator[Unmet]:
    """What is found and should not be, and codes that should be found and are not.

    asked: the least severity of which nothing may be found; or the codes of all that is found, but for infos of other
    codes. config: what accepts findings, and gives them other severities.
    """
    expected = () if isinstance(asked, Severity) else asked
    least = asked if isinstance(asked, Severity) else Severity.WARNING
    declared = as_declared(report, config)
    others = [each for each in declared.findings if each.code not in expected]
    unexpected = [each for each in others if each.severity >= least]
    if unexpected:
        wanted = f"none but {', '.join(expected)}" if expected else "none"
        count = text.plural(len(unexpected), "finding")
        infos = 0 if isinstance(asked, Severity) else len(others) - len(unexpected)
        more = f"; {text.plural(infos, 'info')} {'does' if infos == 1 else 'do'} not count" if infos else ""
        lines = tuple(line for each in unexpected for line in str(each).splitlines())
        yield Unmet(f"findings: expected {wanted} of severity {least.value} or above, found {count}{more}", lines)
    met = {each.code for each in declared.findings}
    for code in expected:
        if code not in met:
            yield Unmet(f"findings: expected {code}, and it is not found: {_why_not(declared, code)}")


def _why_not(report: Report, code: str) -> str:
    """Why a rule has no finding in a report."""
    if any(each.code == code for each in report.ignored):
        return "it is accepted, by a comment or in pyproject.toml"
    return next((each.reason for each in report.skipped if each.code == code), "the rule finds nothing")
