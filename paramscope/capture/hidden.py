"""What is reachable from a module but not registered: tensors and modules in its attributes and containers.

Runs when the walk knows all that is registered, so that a second way to a registered thing is an alias and
nothing hidden. Each object is entered once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any

from torch import nn

from paramscope.capture.classes import is_tensor_class, short_name
from paramscope.capture.walk import HOLDERS, Candidate, Walk
from paramscope.snapshot import AliasRecord, Note, NoteKind, join

DEPTH_BOUND = 32
"""Containers within containers that are looked into."""
ITEM_BOUND = 4_000_000
"""Container items that are looked at in one capture."""

_SETS: tuple[type[Any], ...] = (set, frozenset)
_SEQUENCES: tuple[type[Any], ...] = (list, tuple, deque)
_PLAIN_KEYS = frozenset(map(id, (str, int, bool, float, bytes, type(None))))


class HiddenSearch:
    """One capture's search; what it finds goes into the walk's columns and aliases."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._entered: set[int] = set()
        self._held: list[Any] = []
        self._items = 0
        self._can_hold: dict[int, bool] = {}

    def run(self) -> None:
        """Looks through the walk's candidates until walking hidden modules yields no new ones."""
        pending = self._walk.candidates
        while pending:
            self._walk.candidates = []
            for _, of_module in groupby(pending, key=attrgetter("module")):
                # The walk searched each module's attributes backwards.
                for candidate in reversed(list(of_module)):
                    self._look(candidate)
            pending = self._walk.candidates

    def _look(self, candidate: Candidate) -> None:
        modules: list[tuple[str, Any]] = []
        for name, thing in self._finds(candidate):
            cls = type(thing)
            if is_tensor_class(cls):
                self._walk.add_tensor(candidate.module, name, thing)
            else:
                modules.append((name, thing))
        walk = self._walk
        owner = walk.paths[candidate.module]
        for name, module in modules:
            path = join(owner, name)
            known = walk.path_of(module)
            if known is not None:
                walk.aliases.append(AliasRecord(path, known))
                continue
            walk.modules([(path, module)], registered=False, inherited=walk.reasons_below(candidate.module))

    def _finds(self, candidate: Candidate) -> Iterator[tuple[str, Any]]:
        """(name, tensor or module) pairs in an attribute's value, in the order they lie there."""
        stack: list[tuple[str, Any, int]] = [(candidate.name, candidate.value, 0)]
        while stack:
            name, value, depth = stack.pop()
            cls = type(value)
            if is_tensor_class(cls) or issubclass(cls, nn.Module):
                yield name, value
                continue
            steps = steps_into(value, self._can_hold)
            if steps is None or id(value) in self._entered:
                continue
            self._entered.add(id(value))
            self._held.append(value)
            if depth == DEPTH_BOUND:
                self._stop(candidate, name, "depth", f"a container {DEPTH_BOUND} deep in others")
                continue
            if self._items > ITEM_BOUND:
                self._stop(candidate, name, "items", f"{ITEM_BOUND:,} items were looked at before")
                continue
            self._items += len(steps)
            stack.extend((name + step, item, depth + 1) for step, item in reversed(steps))

    def _stop(self, candidate: Candidate, name: str, kind: NoteKind, why: str) -> None:
        path = join(self._walk.paths[candidate.module], name)
        self._walk.notes.append(Note(path, kind, f"not looked into: {why}"))


def steps_into(value: Any, can_hold: dict[int, bool]) -> list[tuple[str, Any]] | None:
    """The items of a container that are tensors, modules or containers, each with its step of a path.

    None where the value is no container. Reads through the built-in type, so a subclass's own `__iter__`
    or `__len__` does not run.

    can_hold: by the id of a class, whether its instances are of interest; filled on the way, since a list of
    millions has few classes.
    """
    cls = type(value)
    items: Iterable[tuple[Any, Any]]
    if issubclass(cls, dict):
        items, before, after = dict.items(value), "[", "]"
    elif issubclass(cls, _SETS):
        kind = next(kind for kind in _SETS if issubclass(cls, kind))
        items, before, after = enumerate(kind.__iter__(value)), "{", "}"
    elif issubclass(cls, _SEQUENCES):
        kind = next(kind for kind in _SEQUENCES if issubclass(cls, kind))
        items, before, after = enumerate(kind.__iter__(value)), "[", "]"
    else:
        return None
    steps = []
    for key, item in items:
        item_class = type(item)
        is_wanted = can_hold.get(id(item_class))
        if is_wanted is None:
            is_wanted = can_hold[id(item_class)] = issubclass(item_class, HOLDERS)
        if is_wanted:
            steps.append((f"{before}{key_text(key)}{after}", item))
    return steps


def key_text(key: Any) -> str:
    """A dict key as code would write it; of a key with a `__repr__` of its own, only the class."""
    if id(type(key)) in _PLAIN_KEYS:
        return repr(key)
    return f"<{short_name(type(key))}>"
