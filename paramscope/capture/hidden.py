"""What is reachable from a module but not registered: tensors and modules in its attributes, in containers,
behind callables and objects, and in its class.

Runs when the walk knows all that is registered, so that a second way to a registered thing is an alias and
nothing hidden. Each object is entered once, however many ways lead to it.
"""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import torch

from paramscope.capture.classes import is_tensor_class
from paramscope.capture.idioms import packed_type
from paramscope.capture.isolation import isolated
from paramscope.capture.lookups import NOTHING, PACKED, WAYS, Contents, Lookup
from paramscope.capture.sources import learned_sources
from paramscope.capture.tensors import is_parameter
from paramscope.capture.walk import Candidate, Walk
from paramscope.snapshot import AliasRecord, Note, NoteKind, Oddity, join

DEPTH_BOUND = 32
"""Containers and objects within one another that are looked into."""
ITEM_BOUND = 2_500_000
"""Items of containers that are looked at in one capture."""
OBJECT_BOUND = 100_000
"""Objects and callables that are looked into in one capture."""
THING_BOUND = 20_000
"""Tensors and modules in attributes that are listed."""
ALIAS_BOUND = 20_000
"""Further ways to what is registered that are listed."""

_Base: Any = torch._C.TensorBase
_requires_grad = _Base.requires_grad.__get__
_is_leaf = _Base.is_leaf.__get__


class Way(NamedTuple):
    """What stands between a module and something in one of its attributes."""

    level: int = 0
    """What hides it best, as an index into `WAYS`."""
    type: str = ""
    """Qualified class name of that; empty for containers."""
    knows_owner: bool = False
    """Whether an object on the way holds the module that holds it, or one above that: it may drive the model."""
    is_data: bool = False
    """Whether an object on the way is there to give samples."""
    is_built_in: bool = False
    """Whether an object on the way is one of torch's own."""
    is_copied: bool = True
    """Whether `copy.deepcopy` of the module copies it."""

    def through(self, lookup: Lookup) -> Way:
        """The way on through a value that is looked into so."""
        if not lookup.is_object:
            return self if lookup.is_copied else self._replace(is_copied=False)
        level, type = lookup.way if lookup.way[0] > self.level else (self.level, self.type)
        return Way(
            level,
            type,
            self.knows_owner,
            self.is_data or lookup.is_data,
            self.is_built_in or lookup.way[1].startswith("torch."),
            self.is_copied and lookup.is_copied,
        )


_DIRECT = Way()


class _Behind(NamedTuple):
    """An object on the way to something."""

    name: str
    """The way to it, from the module."""
    way: tuple[int, str]
    cls: type
    outer: _Behind | None
    """The object around it."""


class _Step(NamedTuple):
    """Something to look at."""

    name: str
    value: Any
    depth: int
    way: Way
    behind: _Behind | None


class HiddenSearch:
    """One capture's search; what it finds goes into the walk's columns and aliases."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._entered: set[int] = set()
        self._held: list[Any] = []
        self._items = 0
        self._objects = 0
        self._things = 0
        self._aliases = 0
        self._noted: set[tuple[int, str, NoteKind]] = set()

    def run(self) -> None:
        """Looks through the walk's candidates until walking hidden modules yields no new ones."""
        pending = self._walk.candidates
        while pending:
            self._walk.candidates = []
            for _, of_module in groupby(pending, key=attrgetter("module")):
                # The walk searched each module's attributes backwards.
                for candidate in reversed(list(of_module)):
                    path = join(self._walk.paths[candidate.module], candidate.name)
                    with isolated(self._walk.notes, path, "what lies in it"):
                        self._look(candidate)
            pending = self._walk.candidates

    def _look(self, candidate: Candidate) -> None:
        """Enters the tensors in an attribute's value, then walks the modules in it, in the order they lie there."""
        modules: list[_Step] = []
        stack = [_Step(candidate.name, candidate.value, 0, _DIRECT, None)]
        while stack:
            step = stack.pop()
            lookup = self._walk.lookup(type(step.value))
            if lookup.is_thing:
                if not self._add_thing(candidate, step, modules):
                    break
                continue
            if lookup is PACKED:
                path = join(self._walk.paths[candidate.module], step.name)
                text = f"its elements lie in C++ and are not counted: {packed_type(step.value)}"
                self._walk.notes.append(Note(path, "packed", text))
            if lookup.contents is not None and self._may_enter(candidate, step, is_object=lookup.is_object):
                stack.extend(reversed(self._steps_in(candidate, step, lookup, lookup.contents(step.value))))
        self._walk_modules(candidate, modules)

    def _add_thing(self, candidate: Candidate, step: _Step, modules: list[_Step]) -> bool:
        """Enters a tensor, or puts a module to those that are walked later; False where no more are listed."""
        behind = step.behind
        while behind is not None:
            self._add_object(candidate, behind)
            behind = behind.outer
        is_tensor = is_tensor_class(type(step.value))
        if is_tensor and self._is_passed_over(candidate, step):
            return True
        if self._things >= THING_BOUND:
            self._stop(candidate, step.name, "items", f"{THING_BOUND:,} tensors and modules were listed before")
            return False
        self._things += 1
        if is_tensor:
            self._add_tensor(candidate, step.name, step.value, step.way)
        else:
            modules.append(step)
        return True

    def _is_passed_over(self, candidate: Candidate, step: _Step) -> bool:
        """Whether a tensor is registered, and at most listed as an alias, or only a sample among data."""
        number = self._walk.tensors.numbers.get(id(step.value))
        if number is None or not self._walk.is_sealed(number):
            return step.way.is_data and not _requires_grad(step.value) and not is_parameter(step.value)
        self._aliases += 1
        if self._aliases <= ALIAS_BOUND:
            self._walk.add_tensor(candidate.module, step.name, step.value)
        elif self._aliases == ALIAS_BOUND + 1:
            why = f"{ALIAS_BOUND:,} further ways to what is registered were listed before"
            self._stop(candidate, step.name, "aliases", why)
        return True

    def _may_enter(self, candidate: Candidate, step: _Step, *, is_object: bool) -> bool:
        """Whether a container, an object or a callable is looked into: once, and within the bounds."""
        if id(step.value) in self._entered:
            return False
        self._entered.add(id(step.value))
        self._held.append(step.value)
        if step.depth == DEPTH_BOUND:
            self._stop(candidate, step.name, "depth", f"it lies {DEPTH_BOUND} deep in containers and objects")
            return False
        if self._items > ITEM_BOUND:
            self._stop(candidate, step.name, "items", f"{ITEM_BOUND:,} items were looked at before")
            return False
        self._objects += is_object
        if self._objects > OBJECT_BOUND:
            self._stop(candidate, step.name, "items", f"{OBJECT_BOUND:,} objects were looked into before")
            return False
        return True

    def _steps_in(self, candidate: Candidate, outer: _Step, lookup: Lookup, held: Contents) -> list[_Step]:
        """What of the things that a value holds is looked at in turn."""
        walk, depth, way, behind = self._walk, outer.depth + 1, outer.way.through(lookup), outer.behind
        if lookup.is_object and lookup.way[0]:
            behind = _Behind(outer.name, lookup.way, type(outer.value), behind)
        steps: list[_Step] = []
        for step, item in held:
            self._items += 1
            if self._items > ITEM_BOUND:
                self._stop(candidate, outer.name, "items", f"{ITEM_BOUND:,} items were looked at before")
                break
            if walk.lookup(type(item)) is not NOTHING:
                steps.append(_Step(outer.name + step, item, depth, way, behind))
        if lookup.is_object and self._knows(candidate.module, steps):
            way = way._replace(knows_owner=True)
            steps = [each._replace(way=way) for each in steps]
        return steps

    def _add_tensor(self, candidate: Candidate, name: str, tensor: Any, way: Way) -> None:
        """Enters a tensor in an attribute; of what one of torch's own objects computed when it was built, the
        Parameters and leaves that it was computed from, where nothing registers them."""
        walk = self._walk
        if way.is_built_in and not _is_leaf(tensor):
            numbers = walk.tensors.numbers
            learned = [
                leaf
                for leaf in learned_sources(tensor)
                if (number := numbers.get(id(leaf))) is None or not walk.is_sealed(number)
            ]
            for i, leaf in enumerate(learned):
                if id(leaf) not in numbers:
                    self._enter_tensor(candidate, name if len(learned) == 1 else f"{name}{{{i}}}", leaf, way)
            if learned:
                return
        self._enter_tensor(candidate, name, tensor, way)

    def _enter_tensor(self, candidate: Candidate, name: str, tensor: Any, way: Way) -> None:
        self._walk.add_tensor(candidate.module, name, tensor)
        if way.level and (is_parameter(tensor) or _requires_grad(tensor)):
            self._add_way(candidate, name, way)
        if not way.is_copied and not _is_leaf(tensor):
            path = join(self._walk.paths[candidate.module], name)
            self._walk.facts.oddities.append(Oddity(path, "not-copied", "", None))

    def _add_way(self, candidate: Candidate, name: str, way: Way) -> None:
        """Enters what hides a module, or a tensor that requires grad, where that is no mere container."""
        path = join(self._walk.paths[candidate.module], name)
        self._walk.facts.oddities.append(Oddity(path, "held-by", WAYS[way.level], way.type))
        if way.knows_owner:
            self._walk.facts.oddities.append(Oddity(path, "held-from-above", "", None))

    def _knows(self, module: int, steps: list[_Step]) -> bool:
        """Whether one of the things that an object holds is the module that holds it, or one above that."""
        paths, owner = self._walk.paths, self._walk.paths[module]
        for step in steps:
            known = self._walk.numbers.get(id(step.value))
            if known is not None:
                above = paths[known]
                if not above or owner == above or owner.startswith(f"{above}."):
                    return True
        return False

    def _add_object(self, candidate: Candidate, behind: _Behind) -> None:
        """Enters the class of an object in which something was found: there it was assigned."""
        if WAYS[behind.way[0]] != "callable":
            path = join(self._walk.paths[candidate.module], behind.name)
            self._walk.facts.enter_object(path, WAYS[behind.way[0]], behind.cls)

    def _walk_modules(self, candidate: Candidate, found: list[_Step]) -> None:
        walk = self._walk
        for name, module, _, way, _ in found:
            path = join(walk.paths[candidate.module], name)
            known = walk.path_of(module)
            if known is None:
                if way.level:
                    self._add_way(candidate, name, way)
                if not way.is_copied:
                    walk.facts.oddities.append(Oddity(path, "not-copied", "", None))
                walk.walk_hidden(path, module, walk.reasons_below(candidate.module))
            elif "->" not in name and "::" not in name:
                # An object or a method that knows the module it belongs to is no second place of it.
                walk.aliases.append(AliasRecord(path, known))

    def _stop(self, candidate: Candidate, name: str, kind: NoteKind, why: str) -> None:
        """Notes what is not looked into, once for each attribute and kind of bound."""
        key = (candidate.module, candidate.name, kind)
        if key not in self._noted:
            self._noted.add(key)
            path = join(self._walk.paths[candidate.module], name)
            what = "not listed" if kind == "aliases" else "not looked into"
            self._walk.notes.append(Note(path, kind, f"{what}: {why}"))
