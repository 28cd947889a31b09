"""A report with what a check knows beside it: the rules that were asked, why findings are accepted, and a line for
those that have none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from paramscope.exceptions.apply import Ignored
from paramscope.report.data import ReportData
from paramscope.report.finding import Finding, Location, Severity, real_file
from paramscope.rules.rule import Loaded
from paramscope.snapshot.path import parent
from paramscope.source.library import is_own

DECLARED, LOCKED = "DECLARED", "LOCKED"
"""What stands for the code of a rule where a model is not as it is declared, or locked."""
HELD_TO = {DECLARED: "not-as-declared", LOCKED: "not-as-locked"}
"""What stands for the name of a rule, by code."""
_DETAILS = 5
"""Lines of a difference that a finding has; the text has more."""


class Checked(NamedTuple):
    """One target, checked."""

    report: ReportData
    rules: Sequence[Loaded] = ()
    """Those that were asked."""
    ignored: Mapping[Finding, Ignored] = MappingProxyType({})
    """Why each of the report's ignored findings is accepted, as far as that is known."""
    class_lines: Mapping[Finding, Location] = MappingProxyType({})
    """For findings without a line, where the class begins that holds the first place. It is to blame for nothing, and
    a viewer that needs a line and takes this one has to say so."""
    file: str = ""
    """Of a saved report, where it was read from; several may be of one target."""
    held_to: tuple[str, ...] = ()
    """What else it was held to than rules: DECLARED, LOCKED."""
    unmet: tuple[Finding, ...] = ()
    """How it differs from that, in the form of findings; none of them can be accepted."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that fails or is said: how it differs from what it was held to, and what rules found."""
        return (*self.unmet, *self.report.findings)

    @property
    def target(self) -> str:
        """As the command line names it."""
        return self.report.target or "model"

    @property
    def name(self) -> str:
        """What it is called in words: `model.py:build`; of a saved report `report.json (model.py:build)`."""
        target = self.report.target
        return f"{self.file} ({target})" if self.file and target else self.file or self.target

    @property
    def target_line(self) -> Location | None:
        """The beginning of the target's file."""
        file, colon, _ = self.target.rpartition(":")
        return Location(file, 1) if colon and file.endswith(".py") else None


def unlike(code: str, said: str, details: Sequence[str], line: Location | None, help: str) -> Finding:
    """How a model differs from what it is held to, as a finding. code: DECLARED or LOCKED. details: lines, of which
    the first few are named."""
    named = [" ".join(each.split()) for each in details[:_DETAILS]]
    if len(details) > _DETAILS:
        named.append(f"… and {len(details) - _DETAILS:,} more")
    message = ": ".join(filter(None, (said, "; ".join(named))))
    return Finding(code, HELD_TO[code], Severity.ERROR, message, ("",), line, help=help)


def as_checked(
    report: ReportData,
    rules: Sequence[Loaded],
    ignored: Mapping[Finding, Ignored] = MappingProxyType({}),
    file: str = "",
) -> Checked:
    """A report as a check hands it to a format. file: where it was read from, if it is a saved one."""
    unlocated = (each for each in (*report.findings, *report.ignored) if each.location is None)
    lines = {each: line for each in unlocated if (line := _class_line(report, each.paths[0]))}
    return Checked(report, rules, ignored, lines, file)


def _class_line(report: ReportData, path: str) -> Location | None:
    """Of the user's own class that holds a slot or module: its own, or that of the nearest module above."""
    slot = _position(report.slots.position, path)
    module = report.slots.at(slot).module if slot is not None else path
    while True:
        position = _position(report.modules.position, module)
        record = report.snapshot.classes.get(report.modules.at(position).type) if position is not None else None
        if record is not None and record.file is not None and record.line is not None and is_own(record):
            return Location(real_file(record.file), record.line)
        if not module:
            return None
        module = parent(module)


def _position(find: Callable[[str], int], path: str) -> int | None:
    try:
        return find(path)
    except KeyError:
        return None
