"""When the statement that assigns an attribute runs: as its object is made, when the model runs, or when somebody
calls for it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal

from paramscope.snapshot import ClassRecord
from paramscope.snapshot.path import Steps
from paramscope.source.files import Unreadable
from paramscope.source.finder import Assignment, Goal
from paramscope.source.library import is_own, lineage
from paramscope.source.methods import FIRST, RUNNING, Methods
from paramscope.source.search import matches_of
from paramscope.source.syntax import Function, holds_line

Stage = Literal["construction", "forward", "other"]
"""When a statement runs."""


class Stages:
    """When the methods of one class run."""

    def __init__(self, methods: Methods, also_running: frozenset[str] = frozenset()) -> None:
        """also_running: methods that other modules of the model call when it runs."""
        self._methods = methods
        names = methods.by_name
        self.constructing = methods.reached(name for name in names if name in FIRST)
        self.running = methods.reached(name for name in names if RUNNING.fullmatch(name) or name in also_running)

    def of(self, assignment: Assignment) -> set[Stage]:
        """When the statement of an assignment may run."""
        if self._is_deferred(assignment):
            return {"forward"}
        method = assignment.method
        found: set[Stage] = set()
        if method in FIRST or method in self.constructing:
            found.add("construction")
        if RUNNING.fullmatch(method) or method in self.running or method in self._methods.handed:
            found.add("forward")
        return found or {"other"}

    def _is_deferred(self, assignment: Assignment) -> bool:
        """Whether it stands in a function within a method, as a hook does."""
        method = self._methods.at(assignment.type, assignment.line)
        return method is not None and any(
            holds_line(inner, assignment.line) and _is_handed_on(inner.args)
            for inner in ast.walk(method.node)
            if inner is not method.node and isinstance(inner, Function | ast.Lambda)
        )

    def is_of_property(self, assignment: Assignment) -> bool:
        """Whether to read something runs the statement."""
        method = self._methods.at(assignment.type, assignment.line)
        return method is not None and method.is_property


def every_assignment(
    classes: Mapping[str, ClassRecord], type: str, steps: Steps, beyond: int = 0
) -> list[Assignment]:
    """What a class and all that it inherits from, the user's own or not, assign to a place below an instance.

    beyond: steps that an assignment must reach past to count. Those that do not say which attribute they assign are
    left out where others do, and those of a library always.
    """
    line = lineage(classes, type)
    clear: list[Assignment] = []
    vague: list[Assignment] = []
    for place, record in enumerate(line):
        with suppress(Unreadable):
            for match in matches_of(line, place, Goal(steps, beyond)):
                if not match.is_vague:
                    clear.append(match.assignment)
                elif is_own(record):
                    vague.append(match.assignment)
    return clear or vague


def _is_handed_on(arguments: ast.arguments) -> bool:
    """Whether an inner function takes anything: what takes nothing is a helper, called on the spot."""
    return bool(arguments.posonlyargs or arguments.args or arguments.vararg)
