"""One cycle-safe pass over the modules below the roots, yielding slots in `named_parameters` order.

An explicit stack, so 1,500 nested modules are no deeper than one. A module under several names is listed
under each of them, as `remove_duplicate=False` does; what looks odd on the way (a tensor or a container in
`__dict__`) is kept as a candidate for `hidden`, which runs when all that is registered is known.
"""

from __future__ import annotations

import marshal
from array import array
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import nn

from paramscope.capture.classbook import Class, look_up, look_up_module_class, mro_of
from paramscope.capture.classes import DECIDING, ClassFacts, class_dict, hook_reason, is_a
from paramscope.capture.idioms import recomputed_by, scripted_state
from paramscope.capture.kinds import INERT, NOTHING, Kind, kind_of
from paramscope.capture.odd import ODD_NAMES, odd_mark
from paramscope.capture.register import TensorRegister
from paramscope.snapshot import (
    ATTRIBUTE,
    BUFFER,
    PARAMETER,
    REGISTERED,
    TRAINING,
    TRANSIENT_BUFFER,
    AliasRecord,
    ClassRecord,
    Mark,
    ModuleColumns,
    Note,
    Setting,
    SlotColumns,
    join,
)

REPEAT_BOUND = 1 << 16
"""Paths to modules that were already met under another path, before the walk stops listing more of them: a
chain of 40 `Sequential(x, x)` has 2**40 paths."""

# What `nn.Module.__init__` puts into every instance, in this order.
_OWN = frozenset(nn.Module().__dict__)
_OWN_COUNT = len(_OWN)
# Settings that need no second look: the ids of their classes.
_PLAIN = frozenset(map(id, (int, float, bool, str, type(None))))
# Asked of the class that makes the dict: a subclass may define a property of that name.
_instance_dict: Callable[[Any], dict[str, Any]] = class_dict(nn.Module)["__dict__"].__get__
# What a module without Module.__init__ is taken to hold.
_NOTHING: dict[str, Any] = nn.Module().__dict__

Reasons = tuple[tuple[str, str], ...]
Ancestors: TypeAlias = "tuple[int, Ancestors] | None"
"""Positions of the modules above, each by its first path, nearest first."""


class ClassEntry(NamedTuple):
    """What the walk needs to know of a module's class."""

    type_number: int
    facts: ClassFacts
    is_special: bool
    """Whether more than the settings is to be told of its instances."""
    read: Callable[[dict[str, Any]], tuple[Any, ...]] | None
    """Reads what the layer says of itself from an instance's dict."""
    known: dict[tuple[Any, ...], int]
    """Interned settings by what was read."""


class Candidate(NamedTuple):
    """An attribute that may hold something the root does not see."""

    module: int
    name: str
    """With `->` before it where something is registered under the same name, which the attribute hides."""
    value: Any


class Walk:
    """The state of one capture: columns that grow, and the objects that were entered."""

    def __init__(self) -> None:
        self.tensors = TensorRegister()
        self.candidates: list[Candidate] = []
        self.notes: list[Note] = []
        self.marks: list[Mark] = []
        self.numbers: dict[int, int] = {}
        """Position of each module's first path by id; the modules are held in `_held`."""
        self._held: list[Any] = []
        self.repeated_tensors: set[int] = set()
        """Tensors that stand in more than one slot."""
        self.aliases: list[AliasRecord] = []
        self._is_truncated = False
        self._sealed = 0
        """Tensors of a lower number are registered."""
        self._registered_paths: dict[int, str] | None = None
        # Columns, one entry a module path.
        self.paths: list[str] = []
        self._types = array("i")
        self.module_flags = bytearray()
        self._repeats: dict[int, int] = {}
        self._settings = array("i")
        self._unknown: dict[int, Reasons] = {}
        # Columns, one entry a slot.
        self._slot_modules = array("i")
        self._slot_names: list[str] = []
        self._holds = bytearray()
        self._slot_tensors = array("i")
        self._is_late = False
        self.kinds: dict[int, Kind] = {}
        """How to look into values of a class, by its id."""
        # What the columns point into.
        self._classes: dict[int, ClassEntry] = {}
        self._type_numbers: dict[str, int] = {}
        self._looked_up: dict[int, Class] = {}
        """By the id of a class, of all modules' classes and what they inherit from."""
        self._interned_settings: dict[tuple[tuple[str, Setting], ...], int] = {(): 0}
        self.tying: list[tuple[int, Any]] = []
        """(position, module) of those that may say which weights are tied."""

    def seal(self) -> None:
        """Ends the walk over what is registered: what is met from here on is hidden, or a second way to a
        tensor that is not."""
        self._sealed = len(self.tensors.held)

    def path_of(self, module: Any) -> str | None:
        """The first path under which a module was entered; None if it was not."""
        number = self.numbers.get(id(module))
        return None if number is None else self.paths[number]

    def add_tensor(self, module: int, name: str, tensor: Any) -> None:
        """Enters the slot of a tensor in an attribute, or the alias that it is, of a module passed already."""
        known = self.tensors.numbers.get(id(tensor))
        if known is not None and known < self._sealed:
            self._add_alias(self.paths[module], name, known)
            return
        if known is not None:
            self.repeated_tensors.add(known)
        self._is_late = True
        self._slot_modules.append(module)
        self._slot_names.append(name)
        self._holds.append(ATTRIBUTE)
        self._slot_tensors.append(self.tensors.enter(tensor) if known is None else known)

    def _add_alias(self, module_path: str, name: str, tensor: int) -> None:
        if self._registered_paths is None:
            self._registered_paths = self.tensor_paths()
        self.aliases.append(AliasRecord(join(module_path, name), self._registered_paths[tensor]))

    def tensor_paths(self) -> dict[int, str]:
        """The first path under which each tensor was entered, by its number."""
        paths: dict[int, str] = {}
        for module, name, tensor in zip(self._slot_modules, self._slot_names, self._slot_tensors, strict=True):
            if tensor not in paths:
                paths[tensor] = join(self.paths[module], name)
        return paths

    def modules(self, roots: Iterable[tuple[str, Any]], *, registered: bool, inherited: Reasons = ()) -> None:
        """Walks everything registered below some roots.

        registered: whether the roots of the capture see these modules.
        inherited: why the fates of what lies below cannot be told, from whoever holds these roots.
        """
        stack: list[tuple[Any, str, Ancestors, Reasons]] = [(root, path, None, inherited) for path, root in roots]
        stack.reverse()
        # This loop is most of what a capture costs: locals, and no call that can be spared.
        classes_get, numbers, numbers_get, held = self._classes.get, self.numbers, self.numbers.get, self._held
        paths = self.paths
        slot_modules, slot_names = self._slot_modules, self._slot_names
        holds, slot_tensors = self._holds, self._slot_tensors
        tensor_numbers, tensors = self.tensors.numbers, self.tensors.held
        tensor_get, hold_tensor = tensor_numbers.get, tensors.append
        repeated_tensors, candidates, inert = self.repeated_tensors, self.candidates, INERT
        kinds, is_own, odd_names, plain_ids = self.kinds, _OWN, ODD_NAMES, _PLAIN
        add_path, add_type, add_flags = self.paths.append, self._types.append, self.module_flags.append
        add_setting = self._settings.append
        base_flag = REGISTERED if registered else 0
        sealed = self._sealed
        while stack:
            module, path, ancestors, reasons = stack.pop()
            index = len(paths)
            key = id(module)
            known = numbers_get(key)
            if known is None:
                numbers[key] = index
                held.append(module)
            elif self._may_repeat(path, known, ancestors, registered=registered):
                self._repeats[index] = known
            else:
                continue
            state = _instance_dict(module)
            cls = type(module)
            try:
                training, parameters, buffers = state["training"], state["_parameters"], state["_buffers"]
                children, is_hooked = state["_modules"], state["_state_dict_hooks"] or state["_state_dict_pre_hooks"]
            except KeyError:
                state = self._unusual_state(path, module, state)
                training, parameters, buffers = state["training"], state["_parameters"], state["_buffers"]
                children, is_hooked = state["_modules"], state["_state_dict_hooks"] or state["_state_dict_pre_hooks"]
            entry = classes_get(id(cls))
            if entry is None:
                entry = self._class(index, cls)
            type_number, facts, is_special, read, known_settings = entry
            add_path(path)
            if is_special or reasons or is_hooked or "state_dict" in state:
                reasons = self._describe(
                    index, module, state, facts, reasons, is_root=registered and ancestors is None
                )
            if read is None:
                add_setting(0)
            else:
                try:
                    values = read(state)
                except KeyError:
                    values = tuple(map(state.get, facts.settings))
                for value in values:
                    if id(type(value)) not in plain_ids:
                        values = tuple(map(plain, values))
                        break
                setting = known_settings.get(values)
                add_setting(self._new_setting(facts, known_settings, values) if setting is None else setting)
            add_type(type_number)
            add_flags(base_flag | TRAINING if training is True else base_flag)

            number: int | None
            for name, tensor in parameters.items():
                if tensor is None:
                    number = -1
                else:
                    number = tensor_get(id(tensor))
                    if number is None:
                        number = tensor_numbers[id(tensor)] = len(tensors)
                        hold_tensor(tensor)
                    elif number < sealed:
                        self._add_alias(path, name, number)
                        continue
                    else:
                        repeated_tensors.add(number)
                slot_modules.append(index)
                slot_names.append(name)
                holds.append(PARAMETER)
                slot_tensors.append(number)
            if buffers:
                transient = state["_non_persistent_buffers_set"]
                for name, tensor in buffers.items():
                    if tensor is None:
                        number = -1
                    else:
                        number = tensor_get(id(tensor))
                        if number is None:
                            number = tensor_numbers[id(tensor)] = len(tensors)
                            hold_tensor(tensor)
                        elif number < sealed:
                            self._add_alias(path, name, number)
                            continue
                        else:
                            repeated_tensors.add(number)
                    slot_modules.append(index)
                    slot_names.append(name)
                    holds.append(TRANSIENT_BUFFER if name in transient else BUFFER)
                    slot_tensors.append(number)
            if children:
                prefix = path + "." if path else ""
                here = (known if known is not None else index, ancestors)
                stack.extend(
                    [
                        (child, prefix + name, here, reasons)
                        for name, child in reversed(children.items())
                        if child is not None
                    ]
                )

            # A user's attributes come after those of Module.__init__, so the search runs backwards to the
            # last of these, and is complete if all keys were met.
            extra = 0
            for name in reversed(state):
                if name in is_own:
                    if name == "_modules":
                        break
                    continue
                extra += 1
                value = state[name]
                if name in odd_names:
                    self._add_odd(index, module, name, value, facts)
                cls = type(value)
                if id(cls) in inert or (cls is tuple and inert.issuperset(map(id, map(type, value)))):
                    continue
                kind = kinds.get(id(cls))
                if kind is None:
                    kind = self.kind(cls)
                if kind is not NOTHING and name not in facts.derived and not is_inert(value):
                    step = f"->{name}" if name in parameters or name in buffers or name in children else name
                    candidates.append(Candidate(index, step, value))
                    if kind.is_thing and state["_forward_pre_hooks"]:
                        self._add_recomputed(path, step, state["_forward_pre_hooks"])
            if extra + _OWN_COUNT != len(state):
                candidates.extend(
                    Candidate(index, name, value)
                    for name, value in early_attributes(state)
                    if self.kind(type(value)) is not NOTHING and not is_inert(value)
                )

    def _unusual_state(self, path: str, module: Any, state: dict[str, Any]) -> dict[str, Any]:
        """What stands for the instance dict of a module that lacks some of Module's own attributes."""
        if issubclass(type(module), torch.jit.ScriptModule):
            return {**_NOTHING, **scripted_state(state)}
        self.notes.append(Note(path, "uninitialised", "Module.__init__ did not run, or part of it was deleted"))
        return {**_NOTHING, **state}

    def _describe(
        self, index: int, module: Any, state: dict[str, Any], facts: ClassFacts, inherited: Reasons, *, is_root: bool
    ) -> Reasons:
        """Enters what is special about one module; returns the reasons that hold for all below it."""
        reasons = subtree_reasons(type(module), state, facts, inherited)
        if facts.moves_itself and is_root:
            # Its children's are not called.
            reasons = merge(reasons, (("attributes_moved", facts.moves_itself),))
        own = merge(reasons, facts.own)
        if own:
            self._unknown[index] = own
        for name, kind in facts.hides:
            if name in state["_parameters"] or name in state["_buffers"] or name in state["_modules"]:
                self.marks.append(Mark(self.paths[index], "class-shadow", name, kind))
        if facts.declares_ties and self.numbers[id(module)] == index:
            self.tying.append((index, module))
        return reasons

    def _new_setting(self, facts: ClassFacts, known: dict[tuple[Any, ...], int], values: tuple[Any, ...]) -> int:
        settings = tuple(zip(facts.settings, map(plain, values), strict=True))
        number = known[values] = self._interned_settings.setdefault(settings, len(self._interned_settings))
        return number

    def _add_odd(self, index: int, module: Any, name: str, value: Any, facts: ClassFacts) -> None:
        if name == "all_tied_weights_keys" and not facts.declares_ties:
            self.tying.append((index, module))
        fate = DECIDING.get(name)
        if fate is not None:
            reason = (fate, f"the instance has a {name}() of its own")
            self._unknown[index] = merge(self._unknown.get(index, ()), (reason,))
        mark = odd_mark(self.paths[index], name, value, facts)
        if mark is not None:
            self.marks.append(mark)

    def _add_recomputed(self, path: str, name: str, hooks: Any) -> None:
        method = recomputed_by(name, dict.values(hooks)) if is_a(hooks, dict) else None
        if method is not None:
            self.marks.append(Mark(join(path, name), "recomputed", method, None))

    def kind(self, cls: type) -> Kind:
        """How to look into values of a class."""
        kind = self.kinds.get(id(cls))
        if kind is None:
            kind = self.kinds[id(cls)] = kind_of(cls)
        return kind

    def _may_repeat(self, path: str, first: int, ancestors: Ancestors, *, registered: bool) -> bool:
        """Whether a module that was met before, at position `first`, is listed under one more path."""
        if not registered:
            self.aliases.append(AliasRecord(path, self.paths[first]))
            return False
        while ancestors is not None:
            above, ancestors = ancestors
            if above == first:
                self.notes.append(Note(path, "cycle", f"a cycle: this is {self.paths[first] or 'the root'!r} again"))
                return False
        if len(self._repeats) < REPEAT_BOUND:
            return True
        if not self._is_truncated:
            self._is_truncated = True
            text = f"more than {REPEAT_BOUND:,} further paths to shared modules: the rest is not listed"
            self.notes.append(Note(path, "repeats", text))
        return False

    def _class(self, index: int, cls: type) -> ClassEntry:
        """Enters the class of the module at a position, the first of its class."""
        editions = []
        for base in mro_of(cls):
            known = self._looked_up.get(id(base))
            if known is None:
                known = self._looked_up[id(base)] = look_up(base)
                for name in reversed(known.shared):
                    value = class_dict(base)[name]
                    if not is_inert(value):
                        # What all instances share is found through the first of them.
                        self.candidates.append(Candidate(index, f"::{name}", value))
            editions.append(known.edition)
        _, facts, read = look_up_module_class(cls, tuple(editions))
        is_special = bool(facts.subtree or facts.own or facts.moves_itself or facts.hides or facts.declares_ties)
        type_number = self._type_numbers.setdefault(facts.type, len(self._type_numbers))
        entry = self._classes[id(cls)] = ClassEntry(type_number, facts, is_special, read, {})
        return entry

    def reasons_below(self, module: int) -> Reasons:
        """Why the fates of what a module holds outside of torch's sight cannot be told."""
        return tuple(fact for fact in self._unknown.get(module, ()))

    def module_columns(self) -> ModuleColumns:
        """One entry a module path."""
        return ModuleColumns(self.paths, self._types, self.module_flags, self._repeats, self._settings, self._unknown)

    def slot_columns(self) -> SlotColumns:
        """One entry a slot, module by module."""
        if set(map(type, self._slot_names)) - {str}:
            self._slot_names = list(map(str.__str__, self._slot_names))
        columns = SlotColumns(self._slot_modules, self._slot_names, self._holds, self._slot_tensors)
        if not self._is_late:
            return columns
        modules = self._slot_modules
        order = sorted(range(len(modules)), key=modules.__getitem__)
        return SlotColumns(
            array("i", [modules[i] for i in order]),
            [self._slot_names[i] for i in order],
            bytearray(self._holds[i] for i in order),
            array("i", [self._slot_tensors[i] for i in order]),
        )

    @property
    def interned_settings(self) -> tuple[tuple[tuple[str, Setting], ...], ...]:
        """Every distinct set of a layer's settings, by number."""
        return tuple(self._interned_settings)

    @property
    def classes(self) -> tuple[ClassRecord, ...]:
        """Every class of a module, and what it inherits from."""
        return tuple(known.record for known in self._looked_up.values())

    @property
    def interned_types(self) -> tuple[str, ...]:
        """Every distinct module class, by number."""
        return tuple(self._type_numbers)


def is_inert(value: Any) -> bool:
    """Whether a value is a container of nothing but numbers, strings and the like."""
    kind = type(value)
    if kind is dict or kind is OrderedDict:
        return INERT.issuperset(map(id, map(type, dict.values(value)))) and INERT.issuperset(
            map(id, map(type, value))
        )
    if (kind is list or kind is tuple) and len(value) > 256 and type(value[0]) in (int, float):
        # Long lists of numbers: marshal knows the built-in types by identity, and fails at the first other one.
        try:
            return bool(marshal.dumps(value))
        except ValueError:
            return False
    if kind is list or kind is tuple or kind is set or kind is frozenset or kind is deque:
        return INERT.issuperset(map(id, map(type, value)))
    return False


def early_attributes(state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What was assigned before `Module.__init__` ran, or before one of its own attributes was replaced."""
    for name, value in state.items():
        if name == "_modules":
            return
        if name not in _OWN:
            yield name, value


def plain(value: Any) -> Setting:
    """A setting as a plain value that JSON can hold; None for anything else."""
    kind = type(value)
    if kind is int:
        return value if -(1 << 63) <= value < 1 << 63 else None
    if kind is float:
        return value if isfinite(value) else None
    if kind is bool or kind is str:
        return value  # type: ignore[no-any-return]
    if kind is tuple and len(value) <= 16 and all(type(each) is int and abs(each) < 1 << 63 for each in value):
        return value  # type: ignore[no-any-return]
    return None


def merge(reasons: Reasons, more: Reasons) -> Reasons:
    """Both, the first reason for each fate kept."""
    known = {fate for fate, _ in reasons}
    for fact in more:
        if fact[0] not in known:
            known.add(fact[0])
            reasons = (*reasons, fact)
    return reasons


def subtree_reasons(cls: type, state: dict[str, Any], facts: ClassFacts, inherited: Reasons) -> Reasons:
    """Why it cannot be told what `state_dict()` holds of a module and all below it."""
    reasons = merge(inherited, facts.subtree)
    if "state_dict" in state:
        reasons = merge(reasons, (("saved", "the instance has a state_dict() of its own"),))
    hooks = (*state["_state_dict_hooks"].values(), *state["_state_dict_pre_hooks"].values())
    reason = hook_reason(cls, hooks)
    return merge(reasons, (("saved", reason),)) if reason else reasons
