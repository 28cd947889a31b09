"""Findings → workflow commands of GitHub Actions, which show them beside the lines, and a job summary in Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from paramscope.exceptions.checked import Checked
from paramscope.render._findings import by_severity, counted, in_checkout, said_of_no_line, verdict
from paramscope.report.finding import Finding, Severity
from paramscope.text import plain

ANNOTATIONS = 10
"""GitHub shows this many of each kind for a step, and drops the rest without a word."""
SUMMARY_ROWS = 100
"""Findings that the job summary lists: it may hold 1 MiB."""
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render_checks(checks: Sequence[Checked]) -> str:
    """One `::error file=…,line=…,title=…::message` a finding, the worst ten of several targets, and a line that
    counts the rest."""
    every = [(finding, checked) for checked in checks for finding in checked.findings]
    every.sort(key=lambda pair: -pair[0].severity.rank)
    lines = [_command(finding, checked) for finding, checked in every[:ANNOTATIONS]]
    rest = [finding for finding, _ in every[ANNOTATIONS:]]
    if rest:
        lines.append(f"… and {counted(rest)} more, which are not annotated")
    for checked in checks:
        told = verdict(checked.findings, len(checked.report.ignored))
        # NOTE: the runner takes a line for a command where it begins with `::` or holds `##[`.
        lines.append(f"paramscope: {plain(checked.name)}: {told}".replace("##[", "## ["))
    return "".join(f"{line}\n" for line in lines)


def _command(finding: Finding, checked: Checked) -> str:
    # NOTE: never the line of the class, which is innocent: without its own it stands at the top of the target's file.
    line = finding.location or checked.target_line
    properties = {"title": plain(f"{finding.code} {finding.name}")}
    if line is not None:
        properties = {"file": plain(in_checkout(line, "GITHUB_WORKSPACE")), "line": str(line.line), **properties}
    told = ",".join(f"{name}={escape_property(value)}" for name, value in properties.items())
    words = (plain(finding.message), plain(finding.help), said_of_no_line(finding) if line is not None else "")
    message = "\n".join(filter(None, words))
    return f"::{_COMMANDS[finding.severity]} {told}::{escape_message(message)}"


def escape_message(words: str) -> str:
    """What follows the `::` of a command, on one line."""
    return words.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(words: str) -> str:
    """The value of a command's property."""
    return escape_message(words).replace(":", "%3A").replace(",", "%2C")


def job_summary(checks: Sequence[Checked]) -> str:
    """The findings as Markdown, for `$GITHUB_STEP_SUMMARY`: a table for each target."""
    lines = ["### paramscope", ""]
    for checked in checks:
        report = checked.report
        told = verdict(checked.findings, len(report.ignored))
        lines += [f"**{escape_markdown(checked.name)}**: {told}", ""]
        findings = by_severity(checked.findings)
        if findings:
            lines += ["| severity | rule | where | what, and what to write instead |", "| --- | --- | --- | --- |"]
            lines += [_row(finding) for finding in findings[:SUMMARY_ROWS]]
            if len(findings) > SUMMARY_ROWS:
                lines += ["", f"… and {counted(findings[SUMMARY_ROWS:])} more"]
            lines.append("")
    return "\n".join(lines)


def _row(finding: Finding) -> str:
    what = escape_markdown(finding.message) + (f"<br>{escape_markdown(finding.help)}" if finding.help else "")
    rule = escape_markdown(f"{finding.code} {finding.name}")
    return f"| {finding.severity.value} | {rule} | {escape_markdown(finding.place)} | {what} |"


_MARKUP = re.compile(r"[\\`*_{}\[\]()#~$@:!]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "www.": "www&#46;"}


def escape_markdown(words: str) -> str:
    """A text that Markdown, and the HTML within it, shows as it is, within one cell of a table."""
    words = _MARKUP.sub(lambda match: f"\\{match[0]}", plain(words))
    for character, entity in _ENTITIES.items():
        words = words.replace(character, entity)
    return words
