"""One cycle-safe pass over the modules below the roots, yielding slots in `named_parameters` order.

An explicit stack, so 1,500 nested modules are no deeper than one. A module under several names is listed
under each of them, as `remove_duplicate=False` does; what looks odd on the way (a tensor or a container in
`__dict__`) is kept as a candidate for `hidden`, which runs when all that is registered is known.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import nn

from paramscope.capture.classes import class_dict, is_text, short_name
from paramscope.capture.idioms import compiled_state, scripted_state
from paramscope.capture.isolation import isolated
from paramscope.capture.kinds import INERT, NOTHING, Kind, is_inert, kind_of, plain_name
from paramscope.capture.modules import PLAIN, ClassEntry, ModuleFacts, Reasons, plain
from paramscope.capture.odd_attributes import ODD_NAMES
from paramscope.capture.register import TensorRegister
from paramscope.snapshot import (
    ATTRIBUTE,
    BUFFER,
    PARAMETER,
    REGISTERED,
    TRAINING,
    TRANSIENT_BUFFER,
    AliasRecord,
    Mark,
    ModuleColumns,
    Note,
    Setting,
    SlotColumns,
    join,
    slot_path,
)

REPEAT_BOUND = 20_000
"""Paths to modules that were already met under another path, before the walk stops listing more of them: a
chain of 40 `Sequential(x, x)` has 2**40 paths."""

# What `nn.Module.__init__` puts into every instance, in this order.
_OWN = frozenset(nn.Module().__dict__)
_OWN_COUNT = len(_OWN)
# Those that the walk cannot do without, and what torch makes them of.
_NEEDED = frozenset({"training", "_parameters", "_buffers", "_modules", "_state_dict_hooks", "_state_dict_pre_hooks"})
_NUMBERS = frozenset({id(int)})
_Slots, _Hooks = type(nn.Module()._parameters), type(nn.Module()._state_dict_hooks)
# Asked of the class that makes the dict: a subclass may define a property of that name.
_instance_dict: Callable[[Any], dict[str, Any]] = class_dict(nn.Module)["__dict__"].__get__
# What a module without Module.__init__ is taken to hold.
_NOTHING: dict[str, Any] = nn.Module().__dict__

Ancestors: TypeAlias = "tuple[int, Ancestors] | None"
"""Positions of the modules above, each by its first path, nearest first."""


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
        self.facts = ModuleFacts()
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
        # Columns, one entry a slot.
        self._slot_modules = array("i")
        self._slot_names: list[str] = []
        self._holds = bytearray()
        self._slot_tensors = array("i")
        self._is_late = False
        self.kinds: dict[int, Kind] = {}
        """How to look into values of a class, by its id."""

    def seal(self) -> None:
        """Ends the walk over what is registered: what is met from here on is hidden, or a second way to a
        tensor that is not."""
        self._sealed = len(self.tensors.held)
        self._tell_names_apart()

    def _tell_names_apart(self) -> None:
        """Gives each module a path of its own: with names of dots or of nothing, two have the same."""
        if len(set(self.paths)) == len(self.paths):
            return
        met: dict[str, int] = {}
        taken = set(self.paths)
        for index, path in enumerate(self.paths):
            number = met[path] = met.get(path, 0) + 1
            if number == 1:
                continue
            while (own := f"{path}#{number}") in taken:
                number += 1
            taken.add(own)
            self.paths[index] = own
            self.notes.append(
                Note(own, "name-clash", f"another module is called {path!r}, too: state_dict() mixes them")
            )

    def add_flat_marks(self) -> None:
        """Enters the marks of what is made anew of flat parameters, when all modules are known."""
        for module, name in self.facts.flat_views:
            path = self.path_of(module)
            if path is not None:
                self.facts.marks.append(Mark(join(path, name), "recomputed", "fsdp", None))

    def is_sealed(self, tensor: int) -> bool:
        """Whether a tensor, by its number, is registered."""
        return tensor < self._sealed

    def held_modules(self) -> Iterator[tuple[int, Any]]:
        """Each module that was entered, with the position of its first path."""
        return zip(self.numbers.values(), self._held, strict=True)

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

    def first_path_of(self, module: int) -> int:
        """The position of the first path of a module, by that of any of its paths."""
        return self._repeats.get(module, module)

    def settings_of(self, module: int) -> tuple[tuple[str, Setting], ...]:
        """What a torch.nn layer says of itself, by its position."""
        return self.facts.interned_settings[self._settings[module]]

    def slots(self) -> Iterator[tuple[int, str, int, int]]:
        """(module, name, how it is held, tensor) of every slot."""
        return zip(self._slot_modules, self._slot_names, self._holds, self._slot_tensors, strict=True)

    def tensor_paths(self) -> dict[int, str]:
        """The first path under which each tensor was entered, by its number."""
        paths: dict[int, str] = {}
        for module, name, hold, tensor in self.slots():
            if tensor not in paths:
                paths[tensor] = slot_path(self.paths[module], name, hold)
        return paths

    def registered_paths(self) -> dict[int, str]:
        """The first path of each registered tensor, by its number."""
        return {number: path for number, path in self.tensor_paths().items() if 0 <= number < self._sealed}

    def modules(self, roots: Iterable[tuple[str, Any]], *, registered: bool, inherited: Reasons = ()) -> None:
        """Walks everything registered below some roots.

        registered: whether the roots of the capture see these modules.
        inherited: why the fates of what lies below cannot be told, from whoever holds these roots.
        """
        stack: list[tuple[Any, str, Ancestors, Reasons]] = [(root, path, None, inherited) for path, root in roots]
        stack.reverse()
        # This loop is most of what a capture costs: locals, and no call that can be spared.
        classes_get, describe = self.facts.classes.get, self.facts.describe
        numbers, numbers_get, held = self.numbers, self.numbers.get, self._held
        paths = self.paths
        slot_modules, slot_names = self._slot_modules, self._slot_names
        holds, slot_tensors = self._holds, self._slot_tensors
        tensor_numbers, tensors = self.tensors.numbers, self.tensors.held
        tensor_get, hold_tensor = tensor_numbers.get, tensors.append
        repeated_tensors, candidates, inert = self.repeated_tensors, self.candidates, INERT
        kinds, is_own, odd_names, plain_ids, plain_items = self.kinds, _OWN, ODD_NAMES, PLAIN, _NUMBERS
        add_path, add_type, add_flags = self.paths.append, self._types.append, self.module_flags.append
        add_setting = self._settings.append
        base_flag = REGISTERED if registered else 0
        sealed = self._sealed
        while stack:
            module, path, ancestors, reasons = stack.pop()
            try:
                state = _instance_dict(module)
            except TypeError:
                self.notes.append(Note(path, "uninitialised", f"no module, but a {short_name(type(module))}"))
                continue
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
            cls = type(module)
            if type(state) is not dict:
                state = {plain_name(name): value for name, value in dict.items(state)}
            try:
                training, parameters, buffers = state["training"], state["_parameters"], state["_buffers"]
                children, hooks, pre_hooks = (
                    state["_modules"],
                    state["_state_dict_hooks"],
                    state["_state_dict_pre_hooks"],
                )
                # Of any other class, asking them for their items would run its code.
                is_usual = (
                    type(parameters) is _Slots
                    and type(buffers) is _Slots
                    and type(children) is _Slots
                    and type(hooks) is _Hooks
                    and type(pre_hooks) is _Hooks
                )
            except Exception:  # noqa: BLE001  KeyError, or what a key of the user's raises when it is compared
                is_usual = False
            if not is_usual:
                state = self._unusual_state(path, module, state)
                training, parameters, buffers = state["training"], state["_parameters"], state["_buffers"]
                children, hooks, pre_hooks = (
                    state["_modules"],
                    state["_state_dict_hooks"],
                    state["_state_dict_pre_hooks"],
                )
            entry = classes_get(id(cls))
            if entry is None:
                entry = self._enter_class(index, path, cls)
            type_number, facts, is_special, read, known_settings = entry
            add_path(path)
            if is_special or reasons or hooks or pre_hooks or "state_dict" in state:
                is_root = registered and ancestors is None
                with isolated(self.notes, path, "what is special about it"):
                    reasons = describe(index, path, module, state, reasons, is_root=is_root, is_first=known is None)
            if read is None:
                add_setting(0)
            else:
                try:
                    values = read(state)
                except KeyError:
                    values = tuple(map(state.get, facts.settings))
                for value in values:
                    cls = type(value)
                    if id(cls) not in plain_ids and (
                        cls is not tuple or not plain_items.issuperset(map(id, map(type, value)))
                    ):
                        values = tuple(map(plain, values))
                        break
                setting = known_settings.get(values)
                add_setting(self.facts.new_setting(entry, values) if setting is None else setting)
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
                transient = state.get("_non_persistent_buffers_set")
                if type(transient) is not set or (transient and not is_text(transient)):
                    transient = self._transient_names(path, transient)
                for name, tensor in buffers.items():
                    if type(name) is not str:
                        name = plain_name(name)
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
                        (child, prefix + (name if type(name) is str else plain_name(name)), here, reasons)
                        for name, child in reversed(children.items())
                        if child is not None
                    ]
                )

            # A user's attributes come after those of Module.__init__, so the search runs backwards to the
            # last of these, and is complete if all keys were met.
            extra = 0
            for name, value in reversed(state.items()):
                if type(name) is not str:
                    name = plain_name(name)
                if name in is_own:
                    if name == "_modules":
                        break
                    continue
                extra += 1
                if name in odd_names:
                    with isolated(self.notes, join(path, name), "what it means"):
                        self.facts.add_odd(index, path, module, name, value)
                cls = type(value)
                if id(cls) in inert or (cls is tuple and inert.issuperset(map(id, map(type, value)))):
                    continue
                kind = kinds.get(id(cls))
                if kind is None:
                    kind = self.kind(cls)
                if kind is not NOTHING and name not in facts.derived and not is_inert(value):
                    step = f"->{name}" if is_among(name, parameters, buffers, children) else name
                    candidates.append(Candidate(index, step, value))
                    if kind.is_thing and "_forward_pre_hooks" in state:
                        self.facts.add_recomputed(path, step, state["_forward_pre_hooks"])
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
        if not is_text(state):
            state = {plain_name(name): value for name, value in state.items()}
        state = compiled_state(type(module), state) or state
        if not state.keys() >= _NEEDED:
            self.notes.append(Note(path, "uninitialised", "Module.__init__ did not run, or part of it was deleted"))
        state = {**_NOTHING, **state}
        for name in _NEEDED - {"training"}:
            held = state[name]
            if type(held) not in (_Slots, _Hooks):
                if not issubclass(type(held), dict):
                    self.notes.append(Note(path, "uninitialised", f"its {name} is no dict"))
                state[name] = dict(dict.items(held)) if issubclass(type(held), dict) else {}
        return state

    def _transient_names(self, path: str, names: Any) -> set[str]:
        """The names of buffers that are not saved, out of something that is no set of plain strings."""
        if issubclass(type(names), set):
            return set(map(plain_name, set.__iter__(names)))
        self.notes.append(Note(path, "uninitialised", "its _non_persistent_buffers_set is no set"))
        return set()

    def kind(self, cls: type) -> Kind:
        """How to look into values of a class."""
        kind = self.kinds.get(id(cls))
        if kind is None:
            kind = self.kinds[id(cls)] = kind_of(cls)
        return kind

    def _enter_class(self, index: int, path: str, cls: type) -> ClassEntry:
        entry, shared = self.facts.enter_class(cls)
        if entry.facts.hands_out is not None:
            base, method = entry.facts.hands_out
            text = (
                f"{base} overrides {method}(), so parameters() may hand out other than what is registered and counted"
            )
            self.notes.append(Note(path, "overridden", text))
        # What all instances share is found through the first of them; the search runs backwards.
        self.candidates.extend(Candidate(index, f"::{name}", value) for name, value in reversed(shared))
        return entry

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

    def reasons_below(self, module: int) -> Reasons:
        """Why the fates of what a module holds outside of torch's sight cannot be told."""
        return self.facts.unknown.get(module, ())

    def module_columns(self) -> ModuleColumns:
        """One entry a module path."""
        self._tell_names_apart()
        return ModuleColumns(
            self.paths, self._types, self.module_flags, self._repeats, self._settings, self.facts.unknown
        )

    def slot_columns(self) -> SlotColumns:
        """One entry a slot, module by module."""
        if not is_text(self._slot_names):
            self._slot_names = [name if type(name) is str else plain_name(name) for name in self._slot_names]
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


def is_among(name: str, *registered: dict[str, Any]) -> bool:
    """Whether something is registered under a name."""
    for names in registered:
        if not is_text(names):
            names = dict.fromkeys(map(plain_name, names))
        if name in names:
            return True
    return False


def early_attributes(state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What was assigned before `Module.__init__` ran, or before one of its own attributes was replaced."""
    for name, value in state.items():
        if type(name) is not str:
            continue
        if name == "_modules":
            return
        if name not in _OWN:
            yield name, value
