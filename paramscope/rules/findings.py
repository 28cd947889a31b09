"""Problems → findings: like ones as one, with the names of all, and the line to blame."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterable
from functools import cache

from paramscope.changes import fold_paths
from paramscope.finding import Finding, Location, real_file
from paramscope.rules.code import as_code
from paramscope.rules.facts import Facts
from paramscope.rules.naming import BRACE, numberless
from paramscope.rules.rule import Blame, Problem, Rule
from paramscope.snapshot import Snapshot
from paramscope.source import (
    Assignment,
    Located,
    locate_cause,
    locate_odd_attribute,
    locate_optimizer,
    locate_replaced,
)
from paramscope.text import listed
from paramscope.text import name as printable

_NAMED = 3
"""Folded paths that a message names before it counts the rest."""
_PLACE = re.compile(r"\{(\d+)\}")
"""Where a message names the path of this number."""


def to_findings(rule: Rule, problems: Iterable[Problem], facts: Facts) -> list[Finding]:
    """The findings of one rule, in the order of their first places."""
    groups: dict[Hashable, list[Problem]] = {}
    for problem in problems:
        severity = problem.severity or rule.severity
        alike = _origin(problem.paths[0], facts.snapshot) if problem.alike is None else problem.alike
        key = (severity, problem.message, problem.help, alike)
        groups.setdefault(key, []).append(problem)
    return [_finding(rule, group, facts.snapshot) for group in groups.values()]


def _origin(path: str, snapshot: Snapshot) -> tuple[str, str]:
    """(class of the module that is concerned or owns the slot, name in it without numbers)."""
    try:
        slot = snapshot.slots[path]
    except KeyError:
        pass
    else:
        return snapshot.modules[slot.module].type, numberless(slot.name)
    try:
        return snapshot.modules[path].type, numberless(path)
    except KeyError:
        return "", numberless(path)


def _finding(rule: Rule, problems: list[Problem], snapshot: Snapshot) -> Finding:
    first = problems[0]
    named = {int(at) for at in _PLACE.findall(first.message + first.help)}
    names = {
        at: _names([problem.paths[at] for problem in problems if at < len(problem.paths)])
        for at in named
        if at < len(first.paths)
    }
    # What one path stands for in help is to be code; several are words.
    codes = {at: as_code(first.paths[at]) if _is_one(problems, at) else None for at in names}
    message = _filled(first.message, names)
    help_text = _filled(first.help, {at: printable(codes[at] or "") or name for at, name in names.items()})
    paths = tuple(dict.fromkeys(path for problem in problems for path in problem.paths))
    location, unlocated = None, ""
    if first.blame is not None:
        found = blamed(snapshot, first)
        if found.assignments:
            location = to_location(found.assignments[0])
        else:
            unlocated = found.reason or ""
        # What a library assigns in passing is not the user's to mend.
        others = [to_location(each) for each in found.assignments[1:4] if not each.type.startswith("torch.")]
        if others:
            help_text += f" (Or it was assigned at {', '.join(map(_in_short, others))}.)"
    severity = first.severity or rule.severity
    return Finding(rule.code, rule.name, severity, message, paths, location, help_text, unlocated)


def _is_one(problems: list[Problem], at: int) -> bool:
    return len({problem.paths[at] for problem in problems if at < len(problem.paths)}) == 1


def _filled(template: str, names: dict[int, str]) -> str:
    return _PLACE.sub(lambda match: names.get(int(match[1]), match[0]), template).replace(BRACE, "{")


def _names(paths: list[str]) -> str:
    """Paths as a sentence names them: folded, the first few."""
    rows = [row.path for row in fold_paths([((path,), None) for path in dict.fromkeys(paths)])]
    shown = [printable(each) or "the root" for each in rows[:_NAMED]]
    if len(rows) > _NAMED:
        shown.append(f"{len(rows) - _NAMED:,} more")
    return listed(shown)


def blamed(snapshot: Snapshot, problem: Problem) -> Located:
    """The lines that can have caused a problem, best first; or why there are none."""
    blame = problem.blame
    if isinstance(blame, Blame):
        if blame.at is not None:
            return Located((blame.at,), None)
        if blame.kind == "optimizer":
            return locate_optimizer(snapshot, blame.name)
        if blame.kind == "replaced":
            return locate_replaced(snapshot, blame.path, blame.name)
        return locate_odd_attribute(snapshot, blame.path, blame.name)
    return locate_cause(snapshot, blame or problem.paths[0], problem.cause)


def to_location(assignment: Assignment) -> Location:
    """A place in a source file."""
    return Location(_real(assignment.file), assignment.line)


_real = cache(real_file)


def _in_short(location: Location) -> str:
    """A place as a sentence names it, in the same words from whatever folder."""
    return f"{os.path.basename(location.path)}:{location.line}"
