"""Problems → findings: like ones as one, with the names of all, and the line to blame."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterable
from functools import cache

from paramscope import source
from paramscope.report.finding import Finding, Location, real_file
from paramscope.rules.code import as_code
from paramscope.rules.naming import BRACE
from paramscope.rules.rule import Blame, Problem, Rule
from paramscope.snapshot import Snapshot
from paramscope.snapshot.path import numberless
from paramscope.text import listed
from paramscope.text import name as printable

_NAMED = 3
"""Folded paths that a message names before it counts the rest."""
_PLACE = re.compile(r"\{(\d+)(?:\|([^|{}]*)\|([^|{}]*))?\}")
"""Where a message names the path of this number; or goes on about it, in the singular or in the plural."""


def to_findings(rule: Rule, problems: Iterable[Problem], snapshot: Snapshot | None) -> list[Finding]:
    """The findings of one rule, in the order of their first places. snapshot: what they were found in; without one,
    they say themselves what is alike, and blame no line."""
    groups: dict[Hashable, list[Problem]] = {}
    for problem in problems:
        severity = problem.severity or rule.severity
        alike = _origin(problem.paths[0], snapshot) if problem.alike is None else problem.alike
        key = (severity, problem.message, "" if problem.is_apart else problem.help, alike)
        groups.setdefault(key, []).append(problem)
    return [_finding(rule, group, snapshot) for group in groups.values()]


def _origin(path: str, snapshot: Snapshot | None) -> tuple[str, str]:
    """(class of the module that is concerned or owns the slot, name in it without numbers)."""
    if snapshot is None:
        return "", numberless(path)
    slot, module = snapshot.slots.get(path), snapshot.modules.get(path)
    if slot is not None:
        return snapshot.modules[slot.module].type, numberless(slot.name)
    return "" if module is None else module.type, numberless(path)


def _finding(rule: Rule, problems: list[Problem], snapshot: Snapshot | None) -> Finding:
    first = problems[0]
    others: list[Problem] = []
    if first.is_apart:
        problems, others = problems[:1], problems[1:]
    named = {int(at) for at, *_ in _PLACE.findall(first.message + first.help)}
    named_paths = {
        at: tuple(dict.fromkeys(path for problem in problems for path in _named(problem, at, named, snapshot)))
        for at in named
        if at < len(first.paths)
    }
    message, help_text = _filled(first.message, named_paths), _filled(first.help, named_paths, is_code=True)
    if others:
        asked = sorted({int(at) for at, *_ in _PLACE.findall(first.message)})
        message += _and_so(others, asked)
        help_text += (
            f" Do so for the {len(others):,} others, too." if len(others) > 1 else " Do so for the other, too."
        )
    paths = tuple(dict.fromkeys(path for problem in (*problems, *others) for path in problem.paths))
    location, unlocated = None, ""
    if snapshot is not None and first.blame is not None:
        found = blamed(snapshot, first)
        if found.assignments:
            location = to_location(found.assignments[0])
        else:
            unlocated = found.reason or ""
        # What a library assigns in passing is not the user's to mend.
        others_too = [each for each in found.assignments[1:] if not each.type.startswith("torch.")]
        # Nor did None make anything.
        elsewhere = [to_location(each) for each in others_too if not source.causes.is_nothing(each.value)][:3]
        if elsewhere:
            help_text += f" (Or it was assigned at {', '.join(map(_in_short, elsewhere))}.)"
    severity = first.severity or rule.severity
    return Finding(rule.code, rule.name, severity, message, paths, location, help_text, unlocated)


def _named(problem: Problem, at: int, named: set[int], snapshot: Snapshot | None) -> tuple[str, ...]:
    """What stands at a place of a message: one path; where no other is named, all of a tied tensor's."""
    paths = problem.paths[at : at + 1]
    if not paths or named != {0} or problem.is_apart or len(problem.paths) < 2:
        return paths
    if snapshot is None or paths[0] not in snapshot.slots:
        return paths
    tensors, position = snapshot.slot_columns.tensors, snapshot.slots.position
    slots = [(path, position(path)) for path in problem.paths if path in snapshot.slots]
    tensor = tensors[slots[0][1]]
    return tuple(path for path, slot in slots if tensors[slot] == tensor >= 0) or paths


def _filled(template: str, paths: dict[int, tuple[str, ...]], *, is_code: bool = False) -> str:
    """A template with the names of places in it. is_code: what paths stand for is to be code, where they have any."""
    names = {at: _names(several) for at, several in paths.items()}
    if is_code:
        names |= {at: codes for at, several in paths.items() if (codes := _codes(several))}

    def fill(match: re.Match[str]) -> str:
        at = int(match[1])
        if at not in names:
            return match[0]
        if match[2] is None:
            return names[at]
        return match[3] if len(paths[at]) > 1 else match[2]

    return _PLACE.sub(fill, template).replace(BRACE, "{")


def _codes(paths: tuple[str, ...]) -> str:
    """Paths as Python, each by itself; empty where one of those that are told has no code."""
    told = paths if len(paths) <= _NAMED else paths[: _NAMED - 1]
    codes = list(map(as_code, told))
    if not codes or None in codes:
        return ""
    more = [f"{len(paths) - len(told):,} more"] if len(paths) > len(told) else []
    return listed([*(printable(code) for code in codes if code is not None), *more])


def _names(paths: tuple[str, ...]) -> str:
    """Paths as a sentence names them: folded, the first few."""
    from paramscope.analysis.paths import fold_paths

    rows = fold_paths([((path,), None) for path in paths])
    shown = [printable(row.path) or "the root" for row in rows[:_NAMED]]
    if left := sum(len(row.members) for row in rows[_NAMED:]):
        shown.append(f"{left:,} more")
    return listed(shown)


def _and_so(problems: list[Problem], asked: list[int]) -> str:
    """For which others the same holds, each group of places by itself."""
    from paramscope.analysis.paths import fold_groups

    groups = [tuple(problem.paths[at] for at in asked if at < len(problem.paths)) for problem in problems]
    rows = fold_groups(groups)
    shown = []
    for row in rows[:_NAMED]:
        names = listed([path or "the root" for path in row.paths])
        shown.append(f"for {names}" + (f", at each {row.runs}" if row.runs else ""))
    left = sum(len(row.members) for row in rows[_NAMED:])
    if left:
        kind = "pair" if len(asked) == 2 else "place" if len(asked) == 1 else "group"
        shown.append(f"for {left:,} more {kind}{'s' if left > 1 else ''}")
    return f" The same holds {'; '.join(shown[:-1])}{'; and ' if len(shown) > 1 else ''}{shown[-1]}."


def blamed(snapshot: Snapshot, problem: Problem) -> source.search.Located:
    """The lines that can have caused a problem, best first; or why there are none."""
    blame = problem.blame
    if isinstance(blame, Blame):
        if blame.at is not None:
            return source.search.Located((blame.at,), None)
        if blame.kind == "none":
            return source.search.Located((), blame.name)
        if blame.kind == "optimizer":
            return source.optimizers.locate_optimizer(snapshot, blame.name)
        if blame.kind == "replaced":
            return source.blame.locate_replaced(snapshot, blame.path, blame.name)
        return source.blame.locate_odd_attribute(snapshot, blame.path, blame.name)
    return source.blame.locate_cause(snapshot, blame or problem.paths[0], problem.cause)


def to_location(assignment: source.finder.Assignment) -> Location:
    """A place in a source file."""
    return Location(_real(assignment.file), assignment.line)


_real = cache(real_file)


def _in_short(location: Location) -> str:
    """A place as a sentence names it, in the same words from whatever folder."""
    return f"{os.path.basename(location.path)}:{location.line}"
