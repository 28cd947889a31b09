"""Report → JSON, version 1; `Report.from_json` reads it back."""

from __future__ import annotations

from paramscope.report.cost import cost_of
from paramscope.report.data import ReportData
from paramscope.wire.writer import write_report


def render(report: ReportData, *, cost: bool = False) -> str:
    """One line of JSON with a line break at its end. cost: with what training takes in memory."""
    return write_report(report, cost=cost_of(report) if cost else None, end="\n")
