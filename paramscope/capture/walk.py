"""One cycle-safe pass over the modules below the roots, listing slots in `named_parameters` order.

An explicit stack, so 1,500 nested modules are no deeper than one. A module under several names is listed
under each of them, as `remove_duplicate=False` does; what looks odd on the way (a tensor or a container in
`__dict__`) is kept as a candidate for `hidden`, which runs when all that is registered is known.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

from paramscope.capture.classes import ClassFacts, short_name
from paramscope.capture.isolation import isolated
from paramscope.capture.lookups import INERT, NOTHING, Lookup, is_inert, lookup_of, plain_name
from paramscope.capture.modules import ClassEntry, ModuleFacts, Reasons
from paramscope.capture.odd_attributes import ODD_NAMES
from paramscope.capture.register import TensorRegister
from paramscope.capture.slots import AS_PARAMETER, SlotList, buffer_holds
from paramscope.capture.states import (
    LAST_OWN,
    OWN,
    OWN_COUNT,
    Hooks,
    Registered,
    are_plain,
    early_attributes,
    instance_dict,
    is_registered_name,
    read_needed,
    transient_names,
    usual_state,
)
from paramscope.snapshot import ATTRIBUTE, REGISTERED, TRAINING, AliasRecord, ModuleColumns, Note, Oddity, Setting
from paramscope.snapshot.path import join, slot_path

REPEAT_BOUND = 20_000
"""Paths to modules that were already met under another path, before the walk stops listing more of them: a
chain of 40 `Sequential(x, x)` has 2**40 paths."""

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
        self.slots = SlotList(self.tensors)
        self.candidates: list[Candidate] = []
        self.notes: list[Note] = []
        self.facts = ModuleFacts()
        self.numbers: dict[int, int] = {}
        """Position of each module's first path by id; the modules are held in `held`."""
        self.held: list[Any] = []
        self.aliases: list[AliasRecord] = []
        self._is_truncated = False
        self._sealed = 0
        """Tensors of a lower number are registered."""
        self._registered_paths: dict[int, str] | None = None
        self.lookups: dict[int, Lookup] = {}
        """How to look into values of a class, by its id."""
        # Columns, one entry a module path.
        self.paths: list[str] = []
        self._types = array("i")
        self._flags = bytearray()
        self._repeats: dict[int, int] = {}
        self._settings = array("i")

    def walk_registered(self, roots: Iterable[tuple[str, Any]]) -> None:
        """Enters all that the roots of the capture see: what is met from then on is hidden, or a second way to it."""
        self._walk(roots, REGISTERED, (), self.slots.add_all)
        self.slots.number_all()
        self._sealed = len(self.tensors.held)
        self._tell_names_apart()

    def walk_hidden(self, path: str, module: Any, inherited: Reasons) -> None:
        """Enters a module that the roots do not see, and all below it.

        inherited: why the fates of what lies there cannot be told, from whoever holds it.
        """
        self._walk([(path, module)], 0, inherited, self._add_slots)

    def _walk(
        self,
        roots: Iterable[tuple[str, Any]],
        flags: int,
        inherited: Reasons,
        add_slots: Callable[[int, dict[str, Any], bytes], None],
    ) -> None:
        """Enters the modules below some roots.

        flags: of all these modules. add_slots: is given each module's position, and what it registers by name, with
        how that is held.
        """
        stack: list[tuple[Any, str, Ancestors, Reasons]] = [(root, path, None, inherited) for path, root in roots]
        stack.reverse()
        # This loop is most of what a capture costs: what it asks of `self` for each module is looked up before.
        position_of, enter, entry_of = self.numbers.setdefault, self.held.append, self.facts.classes.get
        paths, add_path, add_type = self.paths, self.paths.append, self._types.append
        add_flags, add_setting, setting_of = self._flags.append, self._settings.append, self.facts.setting_of
        while stack:
            module, path, ancestors, reasons = stack.pop()
            try:
                state = instance_dict(module)
            except TypeError:
                self.notes.append(Note(path, "uninitialised", f"no module, but a {short_name(type(module))}"))
                continue
            index = len(paths)
            first = position_of(id(module), index)
            if first == index:
                enter(module)
            elif self._may_repeat(path, first, ancestors, is_registered=bool(flags)):
                self._repeats[index] = first
            else:
                continue
            if type(state) is not dict:
                state = {plain_name(name): value for name, value in dict.items(state)}
            try:
                training, parameters, buffers, children, hooks, pre_hooks = read_needed(state)
                is_usual = (
                    type(parameters) is Registered
                    and type(buffers) is Registered
                    and type(children) is Registered
                    and type(hooks) is Hooks
                    and type(pre_hooks) is Hooks
                    and (Registered is dict or are_plain(parameters, buffers, children))
                )
            except Exception:  # noqa: BLE001  KeyError, or what a key of the user's raises
                is_usual = False
            if not is_usual:
                state = usual_state(path, module, state, self.notes)
                training, parameters, buffers, children, hooks, pre_hooks = read_needed(state)
            entry = entry_of(id(type(module))) or self._enter_class(index, path, type(module))
            add_path(path)
            add_type(entry.type_number)
            add_flags(flags | TRAINING if training is True else flags)
            add_setting(0 if entry.read is None else setting_of(entry, state))
            if entry.is_special or reasons or hooks or pre_hooks or "state_dict" in state:
                is_root = ancestors is None and bool(flags)
                with isolated(self.notes, path, "what is special about it"):
                    reasons = self.facts.describe(
                        index, path, module, state, reasons, is_root=is_root, is_first=first == index
                    )
            if parameters:
                add_slots(index, parameters, AS_PARAMETER * len(parameters))
            if buffers:
                add_slots(index, buffers, buffer_holds(buffers, transient_names(path, state, self.notes)))
            if children:
                prefix = f"{path}." if path else ""
                here = (first, ancestors)
                stack += [
                    (child, prefix + (name if type(name) is str else plain_name(name)), here, reasons)
                    for name, child in reversed(children.items())
                    if child is not None
                ]
            if len(state) != OWN_COUNT or next(reversed(state)) is not LAST_OWN:
                self._search_attributes(index, path, module, state, entry.facts)

    def _search_attributes(
        self, index: int, path: str, module: Any, state: dict[str, Any], facts: ClassFacts
    ) -> None:
        """Keeps those of a module's attributes that may hold something, and enters what the odd ones mean.

        A user's attributes come after those of Module.__init__, so the search runs backwards to the last of these,
        and is complete if all keys were met.
        """
        extra = 0
        for name, value in reversed(state.items()):
            if type(name) is not str:
                name = plain_name(name)
            if name in OWN:
                if name == LAST_OWN:
                    break
                continue
            extra += 1
            if name in ODD_NAMES:
                with isolated(self.notes, join(path, name), "what it means"):
                    self.facts.add_odd(index, path, module, name, value)
            cls = type(value)
            if id(cls) in INERT or (cls is tuple and INERT.issuperset(map(id, map(type, value)))):
                continue
            if name not in facts.derived and self._may_hold(value):
                step = f"->{name}" if is_registered_name(name, state) else name
                self.candidates.append(Candidate(index, step, value))
                if self.lookup(cls).is_thing and "_forward_pre_hooks" in state:
                    self.facts.add_recomputed(path, step, state["_forward_pre_hooks"])
        if extra + OWN_COUNT != len(state):
            early = early_attributes(state)
            self.candidates += [Candidate(index, name, value) for name, value in early if self._may_hold(value)]

    def _may_hold(self, value: Any) -> bool:
        """Whether an attribute's value is, or may hold, a tensor or a module."""
        return self.lookup(type(value)) is not NOTHING and not is_inert(value)

    def lookup(self, cls: type) -> Lookup:
        """How to look into values of a class."""
        lookup = self.lookups.get(id(cls))
        if lookup is None:
            lookup = self.lookups[id(cls)] = lookup_of(cls)
        return lookup

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

    def _may_repeat(self, path: str, first: int, ancestors: Ancestors, *, is_registered: bool) -> bool:
        """Whether a module that was met before, at position `first`, is listed under one more path."""
        if not is_registered:
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

    def add_tensor(self, module: int, name: str, tensor: Any) -> None:
        """Enters the slot of a tensor in an attribute, or the alias that it is, of a module passed already."""
        self._add_slot(module, name, ATTRIBUTE, tensor)

    def _add_slots(self, module: int, named: dict[str, Any], holds: bytes) -> None:
        for (name, tensor), hold in zip(named.items(), holds, strict=True):
            self._add_slot(module, plain_name(name), hold, tensor)

    def _add_slot(self, module: int, name: str, hold: int, tensor: Any) -> None:
        """Enters a slot that the roots do not see; a second way to what is registered is an alias."""
        known = self.tensors.numbers.get(id(tensor))
        if known is not None and self.is_sealed(known):
            self._add_alias(join(self.paths[module], name), known)
        else:
            self.slots.add(module, name, hold, -1 if tensor is None else self.tensors.number_of(tensor))

    def _add_alias(self, path: str, tensor: int) -> None:
        if self._registered_paths is None:
            self._registered_paths = self.tensor_paths()
        self.aliases.append(AliasRecord(path, self._registered_paths[tensor]))

    def is_sealed(self, tensor: int) -> bool:
        """Whether a tensor, by its number, is registered."""
        return tensor < self._sealed

    def held_modules(self) -> Iterator[tuple[int, Any]]:
        """Each module that was entered, with the position of its first path."""
        return zip(self.numbers.values(), self.held, strict=True)

    def path_of(self, module: Any) -> str | None:
        """The first path under which a module was entered; None if it was not."""
        number = self.numbers.get(id(module))
        return None if number is None else self.paths[number]

    def first_path_of(self, module: int) -> int:
        """The position of the first path of a module, by that of any of its paths."""
        return self._repeats.get(module, module)

    def settings_of(self, module: int) -> tuple[tuple[str, Setting], ...]:
        """What a torch.nn layer says of itself, by its position."""
        return self.facts.interned_settings[self._settings[module]]

    def tensor_paths(self) -> dict[int, str]:
        """The first path under which each tensor was entered, by its number."""
        paths: dict[int, str] = {}
        for module, name, hold, tensor in self.slots:
            if tensor not in paths:
                paths[tensor] = slot_path(self.paths[module], name, hold)
        return paths

    def first_slots(self) -> Iterator[tuple[int, str, int, int]]:
        """(module, path, how it is held, tensor) of the first slot of each registered tensor."""
        seen = set()
        for module, name, hold, tensor in self.slots:
            if 0 <= tensor < self._sealed and tensor not in seen:
                seen.add(tensor)
                yield module, slot_path(self.paths[module], name, hold), hold, tensor

    def registered_paths(self) -> dict[int, str]:
        """The first path of each registered tensor, by its number."""
        return {tensor: path for _, path, _, tensor in self.first_slots()}

    def reasons_below(self, module: int) -> Reasons:
        """Why the fates of what a module holds outside of torch's sight cannot be told."""
        return self.facts.unknown.get(module, ())

    def add_flat_views(self) -> None:
        """Enters the oddities of what is made anew of flat parameters, when all modules are known."""
        for module, name in self.facts.flat_views:
            path = self.path_of(module)
            if path is not None:
                self.facts.oddities.append(Oddity(join(path, name), "recomputed", "fsdp", None))

    def module_columns(self) -> ModuleColumns:
        """One entry a module path."""
        self._tell_names_apart()
        return ModuleColumns(self.paths, self._types, self._flags, self._repeats, self._settings, self.facts.unknown)
