"""Findings → a code quality report of GitLab, which shows them in merge requests."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from paramscope.exceptions.checked import Checked
from paramscope.exceptions.fingerprint import fingerprints
from paramscope.render._findings import in_checkout, said_of_no_line
from paramscope.report.finding import Finding, Severity
from paramscope.text import plain

_SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.INFO: "info"}


def render_checks(checks: Sequence[Checked]) -> str:
    """All targets as one list of issues. Accepted findings are left out: GitLab knows no reasons."""
    seen: Counter[str] = Counter()
    issues = []
    for checked in checks:
        report = checked.report
        # Findings that stand and those that are accepted are numbered together: accepting one renames no other.
        keys = fingerprints([*checked.findings, *report.ignored], report.target)
        for finding, key in zip(checked.findings, keys, strict=False):
            seen[key] += 1
            # GitLab drops an issue whose fingerprint it knows: two saved reports may be of one target.
            issues.append(_issue(checked, finding, key if seen[key] == 1 else f"{key}/{seen[key]}"))
    return json.dumps(issues, indent=1) + "\n"


def _issue(checked: Checked, finding: Finding, key: str) -> dict[str, Any]:
    line = finding.location or checked.class_lines.get(finding, checked.target_line)
    words = (finding.message, finding.help, said_of_no_line(finding))
    # It takes no issue without a path. What has none is shown at what was checked.
    path = in_checkout(line, "CI_PROJECT_DIR") if line is not None else checked.file or checked.target
    return {
        "description": plain(f"{finding.code} {finding.name}: {' '.join(filter(None, words))}"),
        "check_name": plain(finding.code),
        "fingerprint": key,
        "severity": _SEVERITIES[finding.severity],
        "location": {
            "path": plain(path.replace("\\", "/")),
            "lines": {"begin": max(1, line.line) if line is not None else 1},
        },
    }
