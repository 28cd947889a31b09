"""Runs of siblings that are built alike, and in what one of them is not like the others."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import groupby
from typing import Literal

from paramscope.rules.facts import Facts
from paramscope.snapshot import ATTRIBUTE, PARAMETER, REGISTERED, REQUIRES_GRAD, TRAINING

Aspect = Literal["requires_grad", "dtype", "device", "training mode"]
"""In what siblings of one structure may differ."""


def varying(facts: Facts) -> list[Aspect]:
    """The aspects in which any two slots or modules of one class and name differ: few models have any."""
    met: dict[tuple[str, Hashable], set[Hashable]] = {}
    for kind in facts.slot_kinds:
        spec = kind.spec
        if spec is None or not kind.is_registered or kind.role == "attribute":
            continue
        key = (kind.owner.type, kind.name)
        met.setdefault(("dtype", key), set()).add(spec.dtype)
        met.setdefault(("device", key), set()).add(spec.device)
        if kind.role == "parameter" and spec.is_differentiable:
            met.setdefault(("requires_grad", key), set()).add(kind.requires_grad)
    for owner, _ in facts.module_kinds:
        if owner.is_registered:
            met.setdefault(("training mode", owner.type), set()).add(owner.training)
    found = {aspect for (aspect, _), states in met.items() if len(states) > 1}
    # What dispatches modules puts a hook around their forwards.
    is_placed = any(mark.kind in ("offloaded", "own-forward") for mark in facts.snapshot.marks)
    if is_placed or any(spec.device == "meta" for spec in facts.snapshot.interned.specs):
        found.discard("device")
    order: tuple[Aspect, ...] = ("requires_grad", "dtype", "device", "training mode")
    return [aspect for aspect in order if aspect in found]


class Structures:
    """For each module what it is built like, and for each aspect in which state it is with all below it; equal
    numbers mean that nothing tells two apart."""

    def __init__(self, facts: Facts, aspects: Sequence[Aspect]) -> None:
        self._facts = facts
        snapshot = facts.snapshot
        modules, slots, tensors = snapshot.module_columns, snapshot.slot_columns, snapshot.tensor_columns
        specs, paths, first, children = snapshot.interned.specs, modules.paths, facts.first_slots, facts.children
        count = len(paths)
        self.built = [0] * count
        self.states = {aspect: [0] * count for aspect in aspects}
        self.weights = [0] * count
        """Parameters and buffers of a module and of all below it."""
        built: dict[Hashable, int] = {}
        shapes = [(spec.type, spec.shape) for spec in specs]
        known: dict[Hashable, int] = {}
        of_slots = {aspect: self.states_of_slots(aspect) for aspect in aspects if aspect != "training mode"}
        # A child comes after its parent, so counting down meets children first.
        for module in range(count - 1, -1, -1):
            if not modules.flags[module] & REGISTERED:
                continue
            below = [child for child in children.get(module, ()) if modules.flags[child] & REGISTERED]
            own = [slot for slot in range(first[module], first[module + 1]) if slots.holds[slot] != ATTRIBUTE]
            held = tuple(
                (
                    slots.names[slot],
                    slots.holds[slot],
                    None if (of := slots.tensors[slot]) < 0 else shapes[tensors.specs[of]],
                )
                for slot in own
            )
            start = len(paths[module])
            inner = tuple((paths[child][start:], self.built[child]) for child in below)
            structure = (modules.types[module], modules.settings[module], held, inner)
            self.built[module] = built.setdefault(structure, len(built))
            self.weights[module] = len(own) + sum(self.weights[child] for child in below)
            for aspect, states in self.states.items():
                mine: Hashable = modules.flags[module] & TRAINING
                if aspect != "training mode":
                    mine = tuple([of_slots[aspect][slot] for slot in own])
                state = (aspect, mine, *[states[child] for child in below])
                states[module] = known.setdefault(state, len(known))

    def states_of_slots(self, aspect: Aspect) -> list[Hashable]:
        """For each slot, in which state it is."""
        snapshot = self._facts.snapshot
        tensors, holds = snapshot.tensor_columns, snapshot.slot_columns.holds
        specs = snapshot.interned.specs
        if aspect == "requires_grad":
            learns = [spec.is_differentiable for spec in specs]
            return [
                tensor >= 0
                and hold == PARAMETER
                and learns[tensors.specs[tensor]]
                and bool(tensors.flags[tensor] & REQUIRES_GRAD)
                for tensor, hold in zip(snapshot.slot_columns.tensors, holds, strict=True)
            ]
        words = [spec.dtype if aspect == "dtype" else spec.device for spec in specs]
        return [None if tensor < 0 else words[tensors.specs[tensor]] for tensor in snapshot.slot_columns.tensors]

    def runs(self, shortest: int) -> Iterator[list[int]]:
        """Siblings of one structure, one after the other; those that hold nothing are passed over where others do."""
        flags = self._facts.snapshot.module_columns.flags
        for children in self._facts.children.values():
            siblings = [child for child in children if flags[child] & REGISTERED]
            if len(siblings) >= shortest:
                siblings = [child for child in siblings if self.weights[child]] or siblings
                for _, alike in groupby(siblings, key=self.built.__getitem__):
                    run = list(alike)
                    if len(run) >= shortest:
                        yield run
