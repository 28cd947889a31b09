"""Report → JSON, version 1; `Report.from_json` reads it back."""

from __future__ import annotations

from paramscope.report.data import ReportData
from paramscope.wire.writer import write_report


def render(report: ReportData) -> str:
    """One line of JSON with a line break at its end."""
    return write_report(report, end="\n")
