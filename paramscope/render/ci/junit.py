"""Findings → JUnit XML: a test suite for each target, in it a test case for each rule, passed ones too."""

from __future__ import annotations

from collections.abc import Sequence

from paramscope.errors import FormatError
from paramscope.exceptions.checked import HELD_TO, Checked
from paramscope.report.finding import Finding, Severity
from paramscope.text import plain

# xml.sax.saxutils escapes the same, and imports urllib with all of http and ssl.
_CONTENT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_ATTRIBUTE = _CONTENT | str.maketrans({'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def render_checks(checks: Sequence[Checked], *, fail_on: str = "warning") -> str:
    """Several targets. fail_on: the least severity that fails a test case: `error`, `warning`, `info`, or `never`.
    Raises FormatError for another word."""
    if fail_on not in ("never", *(each.value for each in Severity)):
        raise FormatError(f"fail_on cannot be {fail_on!r}", "Choose from error, warning, info, never.")
    least = None if fail_on == "never" else Severity(fail_on)
    suites = [_suite(checked, least) for checked in checks]
    tests, failures, skipped = (sum(counts[i] for counts, _ in suites) for i in range(3))
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="paramscope" tests="{tests}" failures="{failures}" errors="0" skipped="{skipped}">',
        *(line for _, lines in suites for line in lines),
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def _suite(checked: Checked, fail_on: Severity | None) -> tuple[tuple[int, int, int], list[str]]:
    """((tests, failures, skipped), lines) of one target."""
    report = checked.report
    names = {loaded.rule.code: loaded.rule.name for loaded in checked.rules}
    # A rule that this machine does not have may still stand in a saved report.
    names.update((each.code, each.name) for each in (*report.findings, *report.ignored) if each.code not in names)
    names.update((code, HELD_TO[code]) for code in checked.held_to)
    reasons: dict[str, list[str]] = {}
    for each in report.skipped:
        reasons.setdefault(each.code, []).append(each.reason)
        names.setdefault(each.code, "")
    failures = skipped = 0
    lines = []
    for code in sorted(names):
        findings = [finding for finding in checked.findings if finding.code == code]
        told = [_accepted(checked, each) for each in report.ignored if each.code == code]
        bad = [each for each in findings if code in HELD_TO or (fail_on is not None and each.severity >= fail_on)]
        told += [_told(each) for each in findings if each not in bad]
        inside: list[str] = []
        if bad:
            failures += 1
            message = bad[0].message + (f" (and {len(bad) - 1} more)" if len(bad) > 1 else "")
            body = "\n".join(map(_told, bad))
            inside.append(
                f"      <failure type={attribute(bad[0].severity.value)} message={attribute(message)}>"
                f"{content(body)}</failure>"
            )
        elif code in reasons and not findings:
            skipped += 1
            inside.append(f"      <skipped message={attribute('; '.join(reasons[code]))}/>")
        if told:
            inside.append(f"      <system-out>{content(chr(10).join(told))}</system-out>")
        name = attribute(f"{code} {names[code]}".rstrip())
        head = f'    <testcase classname={attribute(checked.name)} name={name} time="0"'
        lines += [f"{head}>", *inside, "    </testcase>"] if inside else [f"{head}/>"]
    counts = len(names), failures, skipped
    head = f'tests="{counts[0]}" failures="{failures}" errors="0" skipped="{skipped}" time="0"'
    return counts, [f"  <testsuite name={attribute(checked.name)} {head}>", *lines, "  </testsuite>"]


def _accepted(checked: Checked, finding: Finding) -> str:
    why = checked.ignored.get(finding)
    return f"ignored: {_told(finding)}" + (f" ({why.origin}: {plain(why.reason)})" if why is not None else "")


def _told(finding: Finding) -> str:
    help_text = f" {plain(finding.help)}" if finding.help else ""
    return f"{finding.place}: {finding.severity.value} {finding.code}: {plain(finding.message)}{help_text}"


def content(words: str) -> str:
    """A text between tags."""
    return _legal(words).translate(_CONTENT)


def attribute(words: str) -> str:
    """A text as the value of an attribute, with its quotes."""
    return f'"{_legal(words).translate(_ATTRIBUTE)}"'


def _legal(words: str) -> str:
    """Line by line without what XML 1.0 cannot hold, not even as a reference, and what turns the reading order."""
    return "\n".join(map(plain, words.split("\n")))
