"""Runs of siblings that are built alike, and in what one of them is not like the others."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import groupby
from typing import Literal

from paramscope.rules.facts import Facts, SlotKind
from paramscope.snapshot import REGISTERED, TRAINING

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


def _learns(kind: SlotKind) -> bool:
    is_able = kind.role == "parameter" and kind.spec is not None and kind.spec.is_differentiable
    return is_able and kind.requires_grad


_STATES: dict[Aspect, Callable[[SlotKind], Hashable]] = {
    "requires_grad": _learns,
    "dtype": lambda kind: kind.spec and kind.spec.dtype,
    "device": lambda kind: kind.spec and kind.spec.device,
}
"""What tells the state of a slot in each aspect."""


class Structures:
    """For each module what it is built like, and for each aspect in which state it is with all below it; equal
    numbers mean that nothing tells two apart."""

    def __init__(self, facts: Facts, aspects: Sequence[Aspect]) -> None:
        self._facts = facts
        modules, first, children = facts.snapshot.module_columns, facts.first_slots, facts.children
        count = len(modules.paths)
        self.built = [0] * count
        self.states = {aspect: [0] * count for aspect in aspects}
        self.weights = [0] * count
        """Parameters and buffers of a module and of all below it."""
        shapes = self._by_slot(lambda kind: (kind.name, kind.role, kind.persistent, kind.spec and kind.spec[:2]))
        of_slots = [(self.states[aspect], self._by_slot(_STATES[aspect])) for aspect in aspects if aspect in _STATES]
        modes = self.states.get("training mode")
        built: dict[Hashable, int] = {}
        states: dict[Hashable, int] = {}
        number, state = built.setdefault, states.setdefault
        types, settings, flags, weights = modules.types, modules.settings, modules.flags, self.weights
        is_all_registered = not facts.hidden_roots
        # A child comes after its parent, so counting down meets children first.
        for module in range(count - 1, -1, -1):
            if not flags[module] & REGISTERED:
                continue
            below = children.get(module, ())
            if not is_all_registered:
                below = [child for child in below if flags[child] & REGISTERED]
            start, stop = first[module], first[module + 1]
            # Attributes stand last among the slots of a module, and are none of its structure.
            while stop > start and shapes[stop - 1] < 0:
                stop -= 1
            weights[module] = stop - start
            inner: tuple[int, ...] = ()
            if below:
                inner = tuple([self.built[child] for child in below])
                weights[module] += sum([weights[child] for child in below])
            key = (types[module], settings[module], *shapes[start:stop], -1, *inner)
            self.built[module] = number(key, len(built))
            for known, of_slot in of_slots:
                known[module] = state((*of_slot[start:stop], -1, *[known[child] for child in below]), len(states))
            if modes is not None:
                modes[module] = state((flags[module] & TRAINING, *[modes[child] for child in below]), len(states))

    def _by_slot(self, tell: Callable[[SlotKind], Hashable]) -> list[int]:
        """For each slot the number of what is told of its kind; -1 for attributes."""
        found = [-1] * len(self._facts.slots)
        known: dict[Hashable, int] = {}
        for kind in self._facts.slot_kinds:
            if kind.role != "attribute":
                number = known.setdefault(tell(kind), len(known))
                for slot in kind.slots:
                    found[slot] = number
        return found

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
