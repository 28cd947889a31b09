"""What the classes in an MRO say of one attribute, best first."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from paramscope.snapshot import ClassRecord
from paramscope.snapshot.path import PathStep, to_steps
from paramscope.source.definitions import body_of, find_definition, short
from paramscope.source.files import Unreadable
from paramscope.source.finder import Assignment, Finder, Goal, Match
from paramscope.source.library import is_of_python, is_own, lineage

_MODULE = "torch.nn.modules.module.Module"


class Located(NamedTuple):
    """Where an attribute was assigned, as far as the source tells."""

    assignments: tuple[Assignment, ...]
    """All candidates, best first."""
    reason: str | None
    """Why there are none; None where there are."""


class Found(NamedTuple):
    """What the classes in one MRO say."""

    matches: list[Match]
    reason: str


def locate_attribute(classes: Mapping[str, ClassRecord], type: str, name: str) -> Located:
    """Where the classes of an object assign one of its attributes.

    type: qualified name of the object's class. name: the attribute, or what a slot is called by its owner:
    `weight`, `layers[0]`, `->weight` for an attribute that hides what is registered as `weight`, `::table` for
    one of the class.
    """
    steps = to_steps(name)
    found = search(classes, type, Goal(steps))
    if not found.matches and len(steps) > 1:
        # `add_module` takes names with brackets in them.
        whole = search(classes, type, Goal((PathStep("name", name),)))
        found = whole if whole.matches else found
    return to_located(found.matches, found.reason)


def to_located(matches: Iterable[Match], reason: str) -> Located:
    """The best matches first, each statement once; those that are vague only where there are no others."""
    every = sorted(matches, key=lambda match: match.rank)
    clear = [match for match in every if not match.is_vague] or every
    seen: dict[tuple[str, int, str], Assignment] = {}
    for match in clear:
        seen.setdefault((match.assignment.file, match.assignment.line, match.assignment.type), match.assignment)
    return Located(tuple(seen.values()), None if seen else reason)


def by_line(assignments: Iterable[Assignment]) -> dict[tuple[str, int], Assignment]:
    """The last one of each line of a file."""
    return {(each.file, each.line): each for each in assignments}


def search(classes: Mapping[str, ClassRecord], type: str, goal: Goal, *, distance: int = 0) -> Found:
    """What the user's own classes in an MRO assign; where they do not, what a library's do.

    distance: modules between the instance and the first one that is the user's own; more is better, since an
    outer constructor ends later.
    """
    line = lineage(classes, type)
    if not line:
        return Found([], f"the class {type} was not recorded")
    matches: list[Match] = []
    reason = ""
    for wants_own in (True, False):
        for place, record in enumerate(line):
            if is_own(record) is not wants_own:
                continue
            try:
                found = list(matches_of(line, place, goal, distance))
            except Unreadable as error:
                reason = reason or str(error)
                continue
            # The vague ones of a library are its machinery; a forward that a class overrides never runs.
            matches.extend(
                match
                for match in found
                if (wants_own or not match.is_vague) and not _is_overridden(match.assignment.method, line[:place])
            )
        if any(not match.is_vague for match in matches):
            break
    what = "neither the body nor a method" if goal.steps[0].kind == "class" else "no method"
    outside = f"{what} of {short(line[0])} or its bases assigns {goal.steps[0].text!r}: it was assigned from outside"
    return Found(matches, reason or outside)


def matches_of(line: Sequence[ClassRecord], place: int, goal: Goal, distance: int = 0) -> Iterator[Match]:
    """What the class at one place of an MRO assigns, but for `nn.Module` and classes of Python. Raises Unreadable."""
    record = line[place]
    if record.type != _MODULE and not is_of_python(record):
        yield from Finder(find_definition(record), record, line[0], goal, (distance, place)).matches()


def _is_overridden(method: str, line: Iterable[ClassRecord]) -> bool:
    """Whether a class earlier in an MRO has a forward that does not call the one that it inherits."""
    for record in line if method == "forward" else ():
        body = body_of(record)
        for node in body.body if body is not None else ():
            if isinstance(node, ast.FunctionDef) and node.name == method:
                return not any(isinstance(each, ast.Attribute) and each.attr == method for each in ast.walk(node))
    return False
