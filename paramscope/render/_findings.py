"""Findings as text: for checks, and for the block in tables and trees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from paramscope import text
from paramscope.exceptions.apply import Ignored
from paramscope.render.terminal._layout import Screen, paint
from paramscope.report.data import ReportData
from paramscope.report.finding import Finding, Location, Severity, Skipped, real_file
from paramscope.rules.engine import NEEDED
from paramscope.rules.rule import Loaded
from paramscope.source.library import is_own
from paramscope.text import plain

LISTED = 10
"""Findings that a view lists before it counts the rest."""
_STYLES = {Severity.ERROR: "hidden", Severity.WARNING: "warning", Severity.INFO: "buffer"}
"""What `paint` knows them by: red, yellow, cyan."""
SEVERITIES = tuple(sorted(Severity, reverse=True))
"""Most severe first."""


class Checked(NamedTuple):
    """One target as a check tells of it."""

    report: ReportData
    rules: tuple[Loaded, ...] = ()
    """Those that were asked."""
    ignored: Mapping[Finding, Ignored] = MappingProxyType({})
    """Why each of the report's ignored findings is accepted, as far as that is known."""

    @property
    def target(self) -> str:
        """As the command line names it."""
        return self.report.target or "model"


def everything(report: ReportData) -> Checked:
    """A report as if every rule that is installed had been asked for it."""
    from paramscope.rules import discover

    return Checked(report, discover().rules)


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


def place(finding: Finding) -> str:
    """`net.py:12`, or the first of its places where no line is known."""
    if finding.location is None:
        first = text.name(finding.paths[0]) or "the root"
        return first if len(finding.paths) == 1 else f"{first} and {len(finding.paths) - 1:,} more"
    return f"{plain(finding.location.file)}:{finding.location.line}"


def lines_of(
    finding: Finding, screen: Screen, *, reason: str = "", with_help: bool = True, with_unlocated: bool = False
) -> list[str]:
    """A finding as a terminal shows it: where and what in the first line, then why, and what to write instead;
    with_unlocated: why no line is known, too."""
    head = f"{place(finding)}: {finding.severity.value} {plain(finding.code)} {plain(finding.name)}"
    style = _STYLES[finding.severity]
    lines = [paint(line, style, screen) for line in text.wrap_words(head, screen.width)]
    lines += _hanging(plain(finding.message), "  ", "  ", screen.width)
    if with_help and finding.help:
        lines += _hanging(plain(finding.help), "  help: ", "        ", screen.width)
    if with_unlocated and finding.unlocated:
        lines += _hanging(plain(finding.unlocated), "  no line: ", "           ", screen.width)
    if reason:
        lines += _hanging(plain(reason), "  ignored: ", "           ", screen.width)
    return lines


def _hanging(words: str, first: str, rest: str, width: int) -> list[str]:
    wrapped = text.wrap_words(words, max(16, width - len(rest)))
    return [(rest if number else first) + line for number, line in enumerate(wrapped)]


def legend(report: ReportData) -> str:
    """What the mark of a finding means, shown by the worst of them."""
    worst = max(report.findings, key=lambda finding: finding.severity.rank)
    return f"!{text.name(worst.code)}: see findings"


def finding_lines(report: ReportData, screen: Screen) -> list[str]:
    """The block of a view: the worst findings, a count of the rest, and how many are accepted; nothing for none."""
    findings = by_severity(report.findings)
    if not findings:
        return []
    lines = [paint("findings", "heading", screen)]
    inner = screen._replace(width=screen.width - 2)
    for finding in findings[:LISTED]:
        lines += [f"  {line}" for line in lines_of(finding, inner)]
    if len(findings) > LISTED:
        lines += [f"  … and {counted(findings[LISTED:])}: paramscope check lists them"]
    return lines


def skipped_lines(skipped: Sequence[Skipped], width: int) -> list[str]:
    """What was not checked, in a line for what was not given, and one for each rule that could not decide."""
    wanted = {NEEDED["optimizer"]: ("an optimizer", "-O"), NEEDED["values"]: ("values", "--values")}
    numbers = Counter(each.reason for each in skipped if each.reason in wanted)
    needs = []
    for reason, (what, option) in wanted.items():
        number = numbers[reason]
        if number:
            needs.append(f"{text.plural(number, 'rule')} {'needs' if number == 1 else 'need'} {what} ({option})")
    lines = _hanging(f"not checked: {', '.join(needs)}", "", "  ", width) if needs else []
    others = [each for each in skipped if each.reason not in wanted]
    for each in others[:LISTED]:
        lines += _hanging(f"skipped: {plain(each.code)}: {plain(each.reason)}", "", "  ", width)
    if len(others) > LISTED:
        lines.append(f"skipped: {len(others) - LISTED:,} more")
    return lines


def _position(find: Callable[[str], int], path: str) -> int | None:
    try:
        return find(path)
    except KeyError:
        return None


def class_line(checked: Checked, finding: Finding) -> Location | None:
    """For viewers that show nothing without a line: that of the class that holds a finding's first place, or of the
    target's file. It is to blame for nothing, and whoever shows it has to say so."""
    report = checked.report
    classes = report.snapshot.classes
    path = finding.paths[0]
    slot = _position(report.slots.position, path)
    module = report.slots.at(slot).module if slot is not None else path
    while True:
        position = _position(report.modules.position, module)
        record = classes.get(report.modules.at(position).type) if position is not None else None
        if record is not None and record.file is not None and record.line is not None and is_own(record):
            return Location(real_file(record.file), record.line)
        if not module:
            break
        module = module.rpartition(".")[0]
    return target_line(checked)


def target_line(checked: Checked) -> Location | None:
    """The beginning of a target's file."""
    file, colon, _ = checked.target.rpartition(":")
    return Location(file, 1) if colon and file.endswith(".py") else None


def said_of_no_line(finding: Finding) -> str:
    """That the place which a viewer asks for is not the line to blame; empty where it is."""
    if finding.location is not None:
        return ""
    why = f" ({plain(finding.unlocated)})" if finding.unlocated else ""
    return f"The line to blame is not known{why}; this one is only where the class or the file begins."
