"""A snapshot as rules see it: what thousands of slots have in common is examined once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from paramscope.snapshot import (
    ATTRIBUTE,
    HAS_GRAD,
    HOLDS,
    IS_LEAF,
    IS_PARAMETER,
    REGISTERED,
    REQUIRES_GRAD,
    TRAINING,
    ClassRecord,
    Membership,
    ModuleRecord,
    ModuleRecords,
    Note,
    NoteKind,
    Oddity,
    OddityKind,
    OptimizerRecord,
    Setting,
    SlotRecord,
    SlotRecords,
    Snapshot,
    TensorSpec,
)
from paramscope.snapshot.memory import Span
from paramscope.snapshot.path import parent

T = TypeVar("T")


class SlotKind(NamedTuple):
    """Slots that differ only in where they are and which tensor they hold."""

    name: str
    """The name under which the owner holds them."""
    role: str
    """`parameter`, `buffer` or `attribute`."""
    persistent: bool | None
    """For buffers: whether `state_dict()` is meant to hold them."""
    is_registered: bool
    """Whether the root sees them."""
    spec: TensorSpec | None
    """None for empty slots."""
    requires_grad: bool
    is_leaf: bool
    has_grad: bool
    """Whether a `.grad` is present."""
    is_parameter: bool
    """Whether the tensor's class is `nn.Parameter` or derives from it."""
    groups: tuple[Membership, ...]
    """The param groups that hold the tensor."""
    owner: ModuleKind
    """The kind of module that holds them."""
    slots: list[int]
    """Their positions in the snapshot, ascending."""

    @property
    def is_trainable(self) -> bool:
        """Registered parameters that require grad."""
        return self.role == "parameter" and self.is_registered and self.requires_grad and self.spec is not None

    @property
    def is_frozen(self) -> bool:
        """Registered parameters that do not require grad."""
        return self.role == "parameter" and self.is_registered and not self.requires_grad and self.spec is not None

    @property
    def is_hidden(self) -> bool:
        """Unregistered, and a Parameter or a leaf that requires grad."""
        learns = self.is_parameter or (self.requires_grad and self.is_leaf)
        return not self.is_registered and self.spec is not None and (learns or self.role == "parameter")


class ModuleKind(NamedTuple):
    """Modules that differ only in where they are and what they hold."""

    type: str
    """Qualified name of the class."""
    is_registered: bool
    """Whether the root sees them."""
    training: bool
    """Their own `training` flag."""
    settings: dict[str, Setting]
    """A torch.nn layer's own settings (`in_features`, `padding_idx`, …), as `LAYERS` in `snapshot/declared.py` lists
    them, and as `layer` the class that they are listed under: `_ConvNd` for every convolution, `_NormBase` for every
    batch norm. Empty for other modules, torch's own among them (`Dropout`, `ReLU`)."""
    number: int
    """The kind's position in `module_kinds`."""


class Facts:
    """Everything a rule may ask; each answer is computed once and shared, so a rule must not modify it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        """The snapshot that all answers come from."""
        self.slots: SlotRecords = snapshot.slots
        """Slot records by path; `slots.at(position)`, `slots.path_at(position)`."""
        self.modules: ModuleRecords = snapshot.modules
        """Module records by path; `modules.at(position)`."""
        self.optimizers: tuple[OptimizerRecord, ...] = snapshot.optimizers
        """Optimizer records in the order in which the optimizers were given."""

    @property
    def has_optimizer(self) -> bool:
        """Whether any optimizer was given."""
        return bool(self.optimizers)

    def has(self, need: str) -> bool:
        """Whether something that not every report has is there: an optimizer, values, a run of some kind."""
        run = self.snapshot.run
        return {
            "optimizer": self.has_optimizer,
            "values": self.snapshot.values is not None,
            "run": run is not None,
            "backward": run is not None and run.kind != "graph",
            "step": run is not None and run.kind == "step",
            "loop": False,
            "ranks": self.snapshot.ranks is not None,
        }[need]

    @cached_property
    def slot_kinds(self) -> tuple[SlotKind, ...]:
        """All slots, grouped by what they have in common: few groups, even for a model of millions of slots."""
        snapshot = self.snapshot
        slots, tensors = snapshot.slot_columns, snapshot.tensor_columns
        kinds = self._kind_of_module
        found: dict[tuple[int, ...], list[int]] = {}
        names: dict[str, int] = {}
        get = found.get
        specs, flags, memberships = tensors.specs, tensors.flags, tensors.memberships
        columns = zip(slots.names, slots.holds, slots.tensors, slots.modules, strict=True)
        for index, (name, hold, tensor, module) in enumerate(columns):
            number = names.setdefault(name, len(names))
            if tensor < 0:
                key: tuple[int, ...] = (number, hold, kinds[module])
            else:
                key = (number, hold, kinds[module], specs[tensor], flags[tensor], memberships[tensor])
            members = get(key)
            if members is None:
                found[key] = [index]
            else:
                members.append(index)
        words = list(names)
        return tuple(self._slot_kind(words[key[0]], key[1:], members) for key, members in found.items())

    def _slot_kind(self, name: str, key: tuple[int, ...], members: list[int]) -> SlotKind:
        hold, module, *rest = key
        role, persistent = HOLDS[hold]
        owner = self.module_kinds[module][0]
        is_registered = hold != ATTRIBUTE and owner.is_registered
        if not rest:
            rest = [-1, IS_LEAF, 0]
        spec, flags, membership = rest
        interned = self.snapshot.interned
        return SlotKind(
            name,
            role,
            persistent,
            is_registered,
            None if spec < 0 else interned.specs[spec],
            bool(flags & REQUIRES_GRAD),
            bool(flags & IS_LEAF),
            bool(flags & HAS_GRAD),
            bool(flags & IS_PARAMETER),
            interned.memberships[membership],
            owner,
            members,
        )

    @cached_property
    def module_kinds(self) -> tuple[tuple[ModuleKind, list[int]], ...]:
        """All modules, grouped by what they have in common, with their positions in the snapshot."""
        columns, interned = self.snapshot.module_columns, self.snapshot.interned
        found: dict[tuple[int, int, int], list[int]] = {}
        for index, key in enumerate(zip(columns.types, columns.flags, columns.settings, strict=True)):
            members = found.get(key)
            if members is None:
                found[key] = [index]
            else:
                members.append(index)
        return tuple(
            (
                ModuleKind(
                    interned.types[kind],
                    bool(flags & REGISTERED),
                    bool(flags & TRAINING),
                    dict(interned.settings[setting]),
                    number,
                ),
                members,
            )
            for number, ((kind, flags, setting), members) in enumerate(found.items())
        )

    @cached_property
    def _kind_of_module(self) -> list[int]:
        kinds = [0] * len(self.snapshot.module_columns.paths)
        for kind, members in self.module_kinds:
            for module in members:
                kinds[module] = kind.number
        return kinds

    @cached_property
    def parents(self) -> list[int]:
        """For each module, the position of its parent; -1 for roots."""
        return self.snapshot.tree.parents

    @cached_property
    def children(self) -> dict[int, list[int]]:
        """Positions of the modules directly below each module that has any."""
        return self.snapshot.tree.children

    @cached_property
    def first_slots(self) -> list[int]:
        """The slots of module `m` are `range(first_slots[m], first_slots[m + 1])`."""
        return self.snapshot.tree.first_slots

    def slots_of(self, module: int) -> list[SlotRecord]:
        """The slots that a module holds itself, not those of its children."""
        return list(map(self.slots.at, self.snapshot.tree.slots_of(module)))

    def module_of(self, slot: int) -> ModuleRecord:
        """The module that holds a slot, by the slot's position."""
        return self.modules.at(self.snapshot.slot_columns.modules[slot])

    def subtree(self, module: int) -> Iterator[int]:
        """A module and all modules below it, in order."""
        return self.snapshot.tree.below(module)

    def paths(self, slots: Sequence[int]) -> list[str]:
        """Paths of slots by their positions."""
        return list(map(self.slots.path_at, slots))

    @cached_property
    def hidden_roots(self) -> list[int]:
        """Unregistered modules that lie below no other unregistered module, by position."""
        flags = self.snapshot.module_columns.flags
        if all(flag & REGISTERED for flag in flags):
            return []
        parents = self.parents
        return [
            module
            for module, flag in enumerate(flags)
            if not flag & REGISTERED and (parents[module] < 0 or flags[parents[module]] & REGISTERED)
        ]

    @cached_property
    def aliases(self) -> frozenset[str]:
        """Paths of all slots that share bytes with something registered."""
        found: set[str] = set()
        for record in self.snapshot.sharing:
            if record.kind != "co-located" and any(self.slots[path].registered for path in record.slots):
                found.update(record.slots)
        return frozenset(found)

    @cached_property
    def slots_of_tensor(self) -> dict[int, list[int]]:
        """For each tensor, the positions of the slots that hold it."""
        found: dict[int, list[int]] = {}
        for slot, tensor in enumerate(self.snapshot.slot_columns.tensors):
            if tensor >= 0:
                found.setdefault(tensor, []).append(slot)
        return found

    @cached_property
    def tied(self) -> frozenset[int]:
        """Tensors held by several slots."""
        ties = (record for record in self.snapshot.sharing if record.kind == "tied")
        tensors = self.snapshot.slot_columns.tensors
        return frozenset(tensors[self.slots.position(record.slots[0])] for record in ties)

    def oddities(self, kind: OddityKind) -> list[Oddity]:
        """Everything odd of one kind."""
        return [oddity for oddity in self.snapshot.oddities if oddity.kind == kind]

    @cached_property
    def oddities_at(self) -> dict[str, list[Oddity]]:
        """Everything odd, by path."""
        found: dict[str, list[Oddity]] = {}
        for oddity in self.snapshot.oddities:
            found.setdefault(oddity.path, []).append(oddity)
        return found

    def class_of(self, type: str) -> ClassRecord | None:
        """What is known about a class of modules; None for a class that was not seen."""
        return self.snapshot.classes.get(type)

    def is_a(self, type: str, *names: str) -> bool:
        """Whether a class is one of the named ones (qualified names), or inherits from one."""
        if type in names:
            return True
        record = self.snapshot.classes.get(type)
        return record is not None and not set(names).isdisjoint(record.bases)

    def has_own_forward(self, type: str, path: str = "") -> bool:
        """Whether `forward` of a module is not torch.nn's own: its class defines one, or the instance has one."""
        record = self.snapshot.classes.get(type)
        if record is None or record.forward is None or not record.forward.startswith("torch.nn."):
            return True
        return any(oddity.kind == "own-forward" for oddity in self.oddities_at.get(path, ()))

    @cached_property
    def quantized_modules(self) -> frozenset[str]:
        """Paths of modules that hold a quantized weight and, beside it, what its values are computed with."""
        return frozenset(self.slots[oddity.path].module for oddity in self.oddities("quantized"))

    @cached_property
    def is_training_something(self) -> bool:
        """Whether any registered parameter requires grad."""
        return any(kind.is_trainable for kind in self.slot_kinds)

    @cached_property
    def hidden_holders(self) -> frozenset[int]:
        """Unregistered modules at or below one of `hidden_roots` that holds parameters or buffers, there or below."""
        found: set[int] = set()
        holds, tensors = self.snapshot.slot_columns.holds, self.snapshot.slot_columns.tensors
        for root in self.hidden_roots:
            below = list(self.subtree(root))
            if any(
                holds[slot] != ATTRIBUTE and tensors[slot] >= 0
                for module in below
                for slot in self.snapshot.tree.slots_of(module)
            ):
                found.update(below)
        return frozenset(found)

    @cached_property
    def has_gradients(self) -> bool:
        """Whether any registered parameter has a gradient, which means the model has been run."""
        return any(kind.has_grad and kind.role == "parameter" and kind.is_registered for kind in self.slot_kinds)

    def is_recomputed(self, path: str) -> bool:
        """Whether an attribute is recomputed before each forward, as by weight_norm and pruning."""
        return any(oddity.kind == "recomputed" for oddity in self.oddities_at.get(path, ()))

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """A result that several rules share: computed the first time its key is asked for."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    @cached_property
    def _made(self) -> dict[Hashable, Any]:
        return {}

    def spans(self, tensor: int) -> tuple[Span, ...]:
        """The bytes that a tensor (by its number), and the tensors it is made of, occupy; empty if there are none."""
        return self.once(("spans", tensor), lambda: tuple(self.snapshot.memory.spans(tensor)))

    @cached_property
    def cut_views(self) -> frozenset[int]:
        """Tensors that require grad but that no backward reaches: views taken under `no_grad`."""
        return frozenset(
            self.snapshot.slot_columns.tensors[self.slots.position(oddity.path)]
            for oddity in self.oddities("cut-view")
        )

    @cached_property
    def recomputed_tensors(self) -> frozenset[int]:
        """Tensors that a hook, a parametrization or FSDP recomputes before each forward."""
        found = set()
        for oddity in self.oddities("recomputed"):
            try:
                slot = self.slots.position(oddity.path)
            except KeyError:
                continue
            found.add(self.snapshot.slot_columns.tensors[slot])
        return frozenset(found)

    def is_over_registered_memory(self, slot: SlotRecord) -> bool:
        """Whether a slot's tensor lies in the same storage, or over the same memory, as something registered."""
        return slot.storage is not None and self.snapshot.memory.of(slot.storage) in self._registered_memories

    @cached_property
    def _registered_memories(self) -> frozenset[int]:
        tensors, storages = self.snapshot.slot_columns.tensors, self.snapshot.tensor_columns.storages
        return frozenset(
            self.snapshot.memory.of(storages[tensors[position]])
            for kind in self.slot_kinds
            if kind.is_registered and kind.spec is not None
            for position in kind.slots
        )

    def is_offloaded(self, module: str) -> bool:
        """Whether a hook on a module, or on one above it, moves its tensors away between uses."""
        while self._offloaded and module not in self._offloaded:
            if not module:
                return False
            module = parent(module)
        return bool(self._offloaded)

    @cached_property
    def _offloaded(self) -> frozenset[str]:
        return frozenset(oddity.path for oddity in self.oddities("offloaded"))

    def notes(self, kind: NoteKind) -> list[Note]:
        """Everything of one kind that capture did not examine, and why."""
        return [note for note in self.snapshot.notes if note.kind == kind]
