"""Findings → SARIF 2.1.0, which code hosts and editors read: rules with their documentation, and results."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from paramscope.exceptions.checked import Checked
from paramscope.exceptions.fingerprint import fingerprints
from paramscope.render._findings import in_checkout, said_of_no_line
from paramscope.report.finding import Finding, Severity
from paramscope.rules.docs import first_sentence, to_markdown
from paramscope.rules.rule import Loaded
from paramscope.text import plain

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_PLACES = 20
"""Places of a finding that a result lists; viewers choke on thousands."""
_KEY = "paramscope/v1"


def render_checks(checks: Sequence[Checked]) -> str:
    """All targets as one run of one tool."""
    from paramscope.version import __version__

    rules = {loaded.rule.code: loaded for checked in checks for loaded in checked.rules}
    found = [finding for checked in checks for finding in (*checked.findings, *checked.report.ignored)]
    descriptors = {code: _descriptor(rules[code]) for code in sorted(rules)}
    for finding in found:  # of a rule that this machine does not have
        descriptors.setdefault(finding.code, {"id": finding.code, "name": finding.name})
    positions = {code: position for position, code in enumerate(descriptors)}
    run = {
        "tool": {
            "driver": {
                "name": "paramscope",
                "version": __version__,
                "semanticVersion": __version__,
                "rules": list(descriptors.values()),
            }
        },
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": _notifications(checks)}],
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The checkout, or where paramscope was run."}}},
        "results": [result for checked in checks for result in _results(checked, positions)],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


@cache
def _descriptor(loaded: Loaded) -> dict[str, Any]:
    """What is said of a rule; reading all of their pages takes longer than all else here."""
    rule = loaded.rule
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": message_text(first_sentence(loaded.doc))},
        "fullDescription": {"text": message_text(first_sentence(loaded.doc))},
        "help": {"text": loaded.doc.strip() or rule.name, "markdown": to_markdown(loaded) or rule.name},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["pytorch"], "precision": "high"},
    }


def _notifications(checks: Sequence[Checked]) -> list[dict[str, Any]]:
    """What was skipped, and why."""
    return [
        {
            "level": "note",
            "message": {"text": message_text(f"{checked.name}: {each.code} was skipped: {each.reason}")},
            "descriptor": {"id": each.code},
        }
        for checked in checks
        for each in checked.report.skipped
    ]


def _results(checked: Checked, positions: dict[str, int]) -> list[dict[str, Any]]:
    report = checked.report
    # Findings that stand and those that are accepted are numbered together: accepting one renames no other.
    every = [*checked.findings, *report.ignored]
    results = []
    for number, (finding, key) in enumerate(zip(every, fingerprints(every, report.target), strict=True)):
        words = (finding.message, finding.help, said_of_no_line(finding))
        result: dict[str, Any] = {
            "ruleId": finding.code,
            "ruleIndex": positions[finding.code],
            "level": _LEVELS[finding.severity],
            "message": {"text": message_text(" ".join(filter(None, words)))},
            "locations": [_location(checked, finding)],
            "partialFingerprints": {_KEY: key},
            "properties": {"target": checked.target, "places": len(finding.paths)},
        }
        if number >= len(checked.findings):
            result["suppressions"] = [_suppression(checked, finding)]
        results.append(result)
    return results


def _suppression(checked: Checked, finding: Finding) -> dict[str, str]:
    why = checked.ignored.get(finding)
    if why is None:
        return {"kind": "external"}
    return {
        "kind": "inSource" if why.kind == "comment" else "external",
        "justification": plain(f"{why.reason} ({why.origin})"),
    }


def _location(checked: Checked, finding: Finding) -> dict[str, Any]:
    # The root has no path of its own: the target is its name. The schema allows no two alike.
    names = dict.fromkeys(path or checked.target for path in finding.paths[:_PLACES])
    location: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": name, "kind": "member"} for name in names]
    }
    line = finding.location or checked.class_lines.get(finding, checked.target_line)
    if line is not None:
        location["physicalLocation"] = {
            "artifactLocation": _artifact(in_checkout(line, "GITHUB_WORKSPACE")),
            "region": {"startLine": max(1, line.line)},
        }
    return location


def _artifact(file: str) -> dict[str, str]:
    if os.path.isabs(file):
        return {"uri": PurePath(file).as_uri()}
    path = file.encode("utf-8", "surrogatepass")
    return {"uri": quote(path.replace(b"\\", b"/")), "uriBaseId": "%SRCROOT%"}


def message_text(words: str) -> str:
    """A message as plain text: SARIF reads `{0}` as a placeholder and `[text](target)` as a link."""
    return plain(words).replace("{", "{{").replace("}", "}}").replace("](", "\\](") or "…"
