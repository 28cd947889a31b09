"""Report → JSON, version 1; `Report.from_json` reads it back."""

from __future__ import annotations

from paramscope.report import Report


def render(report: Report) -> str:
    """One line of JSON with a line break at its end."""
    return report.to_json() + "\n"
