"""Problems → findings: like ones as one, with the names of all, and the line to blame."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from functools import cache
from pathlib import Path

from paramscope.changes import fold_groups, fold_paths
from paramscope.finding import Finding, Location
from paramscope.rules.facts import Facts
from paramscope.rules.naming import BRACE, numberless
from paramscope.rules.rule import Problem, Rule
from paramscope.snapshot import Snapshot
from paramscope.source import Assignment, locate
from paramscope.text import listed
from paramscope.text import name as printable

_NAMED = 3
"""Folded paths that a message names before it counts the rest."""
_PLACE = re.compile(r"\{(\d+)(?:\|([^|{}]*)\|([^|{}]*))?\}")
"""Where a message names the path of this number; or goes on about it, in the singular or in the plural."""


def to_findings(rule: Rule, problems: Iterable[Problem], facts: Facts) -> list[Finding]:
    """The findings of one rule, in the order of their first places."""
    groups: dict[Hashable, list[Problem]] = {}
    for problem in problems:
        severity = problem.severity or rule.severity
        alike = _origin(problem.paths[0], facts.snapshot) if problem.alike is None else problem.alike
        key = (severity, problem.message, "" if problem.is_apart else problem.help, alike)
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
    others: list[Problem] = []
    if first.is_apart:
        problems, others = problems[:1], problems[1:]
    named = {int(at) for at, *_ in _PLACE.findall(first.message + first.help)}
    named_paths = {
        at: tuple(dict.fromkeys(problem.paths[at] for problem in problems if at < len(problem.paths)))
        for at in named
        if at < len(first.paths)
    }
    message, help_text = _filled(first.message, named_paths), _filled(first.help, named_paths)
    if others:
        asked = sorted({int(at) for at, *_ in _PLACE.findall(first.message)})
        message += _and_so(others, asked)
        help_text += f" And so for the {len(others):,} others." if len(others) > 1 else " And so for the other."
    paths = tuple(dict.fromkeys(path for problem in (*problems, *others) for path in problem.paths))
    location = None
    if first.blame is not None:
        assignments = lines_to_blame(snapshot, first.blame or first.paths[0])
        if assignments:
            location = to_location(assignments[0])
        # What a library assigns in passing is not the user's to mend.
        elsewhere = [to_location(each) for each in assignments[1:4] if not each.type.startswith("torch.")]
        if elsewhere:
            help_text += f" (Or it was assigned at {', '.join(f'{each.file}:{each.line}' for each in elsewhere)}.)"
    return Finding(rule.code, rule.name, first.severity or rule.severity, message, paths, location, help_text)


def _filled(template: str, paths: dict[int, tuple[str, ...]]) -> str:
    names = {at: _names(several) for at, several in paths.items()}

    def fill(match: re.Match[str]) -> str:
        at = int(match[1])
        if at not in names:
            return match[0]
        if match[2] is None:
            return names[at]
        return match[3] if len(paths[at]) > 1 else match[2]

    return _PLACE.sub(fill, template).replace(BRACE, "{")


def _names(paths: tuple[str, ...]) -> str:
    """Paths as a sentence names them: folded, the first few."""
    rows = [row.path for row in fold_paths([((path,), None) for path in paths])]
    shown = [printable(each) or "the root" for each in rows[:_NAMED]]
    if len(rows) > _NAMED:
        shown.append(f"{len(rows) - _NAMED:,} more")
    return listed(shown)


def _and_so(problems: list[Problem], asked: list[int]) -> str:
    """For which others the same holds, each group of places by itself."""
    groups = [tuple(problem.paths[at] for at in asked if at < len(problem.paths)) for problem in problems]
    rows = fold_groups(groups)
    shown = []
    for row in rows[:_NAMED]:
        names = listed([path or "the root" for path in row.paths])
        shown.append(f"for {names}" + (f", at each {row.runs}" if row.runs else ""))
    left = sum(len(row.members) for row in rows[_NAMED:])
    if left:
        shown.append(f"for {left:,} more {'pairs' if len(asked) == 2 else 'places' if len(asked) == 1 else 'groups'}")
    return f" The same holds {'; '.join(shown[:-1])}{'; and ' if len(shown) > 1 else ''}{shown[-1]}."


def lines_to_blame(snapshot: Snapshot, path: str) -> tuple[Assignment, ...]:
    """Where something was assigned, all candidates, best first; empty where the source does not tell."""
    return locate(snapshot, path).assignments


def to_location(assignment: Assignment) -> Location:
    """A place in a source file, relative to the working directory where it lies below it."""
    return Location(_shown(assignment.file, str(Path.cwd())), assignment.line)


@cache
def _shown(file: str, folder: str) -> str:
    try:
        return str(Path(file).resolve().relative_to(folder))
    except ValueError:
        return file
