"""Snapshot → what each slot and each module is, as numbers: equal numbers mean that nothing tells two apart.

A tie enters the signature of the lowest module above all its slots; below that, a slot carries only that it is tied,
and how.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

from paramscope.snapshot import Snapshot


class Tie(NamedTuple):
    """What one record of sharing says of each of its slots."""

    depth: int
    """Modules above the lowest module that all its slots lie below; -1 where they have different roots."""
    pattern: tuple[Any, ...]
    """The kind, and the slots as seen from that module."""


Told = Mapping[int, Hashable]
"""By position, what is told of slots beside the facts, such as the codes of findings there; equal is alike."""


class Signatures:
    """The module tree of a snapshot, with signatures from the bottom up."""

    def __init__(self, snapshot: Snapshot, told: Told, wanted: Collection[int] | None = None) -> None:
        """wanted: positions of the slots that count; of others only where they stand and what they are called."""
        self.snapshot = snapshot
        self._told = told
        self._wanted = wanted
        tree = self.tree = snapshot.tree
        self.parents, self.names, self.children = tree.parents, tree.names, tree.children
        self.first_slot = tree.first_slots
        count = len(tree.parents)
        self.ties: dict[int, list[Tie]] = {}
        """By slot."""
        self._patterns: dict[int, tuple[Any, ...]] = {}
        """By the lowest module above the slots."""
        self._read_sharing()
        self.slots = self._slot_signatures()
        """Of a slot that does not count, -1."""
        self.owns, self.modules = [0] * count, [0] * count
        """What a module is by itself, with all below it that holds no slot; and what it is with all below it."""
        self.weights = [0] * count
        """Slots of a module and of all below it that count."""
        self._sign()

    def depth(self, module: int) -> int:
        """Modules above one."""
        return sum(1 for _ in self.tree.above(module))

    def ties_below(self, slot: int, depth: int) -> tuple[Any, ...]:
        """What the sharing of a slot looks like from within a module that has `depth` modules above it."""
        return tuple(tie.pattern for tie in self.ties.get(slot, ()) if tie.depth >= depth)

    def ties_across(self, module: int, depth: int) -> tuple[Any, ...]:
        """What the sharing of the slots in and below a module looks like from within one that it lies in and that
        has `depth` modules above it."""
        if not self.ties:
            return ()
        found: list[Any] = []
        stack = [module]
        count = 0
        while stack:
            at = stack.pop()
            for slot in range(self.first_slot[at], self.first_slot[at + 1]):
                ties = self.ties_below(slot, depth)
                if ties:
                    found.append((count, ties))
                count += 1
            stack.extend(self.children.get(at, ()))
        return tuple(found)

    def _slot_signatures(self) -> list[int]:
        slots, tensors = self.snapshot.slot_columns, self.snapshot.tensor_columns
        known: dict[Any, int] = {}
        specs, flags, memberships = tensors.specs, tensors.flags, tensors.memberships
        if self.ties or self._told:
            kinds = {slot: tuple(tie.pattern[0] for tie in ties) for slot, ties in self.ties.items()}
            told = self._told
            apart = [(kinds.get(slot), told.get(slot)) for slot in range(len(slots.tensors))]
            keys: Any = (
                (hold, tensor < 0 or (specs[tensor], flags[tensor], memberships[tensor]), more)
                for hold, tensor, more in zip(slots.holds, slots.tensors, apart, strict=True)
            )
        else:
            keys = (
                (hold, tensor < 0 or (specs[tensor], flags[tensor], memberships[tensor]))
                for hold, tensor in zip(slots.holds, slots.tensors, strict=True)
            )
        number = known.setdefault
        found = [number(key, len(known)) for key in keys]
        if self._wanted is None:
            return found
        return [each if slot in self._wanted else -1 for slot, each in enumerate(found)]

    def _sign(self) -> None:
        modules, names = self.snapshot.module_columns, self.snapshot.slot_columns.names
        first, slots, children = self.first_slot, self.slots, self.children
        owns, signatures, weights = self.owns, self.modules, self.weights
        patterns, own_names = self._patterns, self.names
        known_owns: dict[Any, int] = {}
        known: dict[Any, int] = {}
        types, flags, settings, unknown = modules.types, modules.flags, modules.settings, modules.unknown
        for module in range(len(owns) - 1, -1, -1):
            # A child comes after its parent, so counting down meets children first.
            start, stop = first[module], first[module + 1]
            below: Any = children.get(module, ())
            weight = stop - start if self._wanted is None else sum(each >= 0 for each in slots[start:stop])
            own: Any = (types[module], flags[module], settings[module])
            if unknown or patterns:
                own = (*own, unknown.get(module))
            if below:
                bare: list[tuple[str, int]] = []
                full: list[tuple[str, int]] = []
                for child in below:
                    weight += weights[child]
                    (full if weights[child] else bare).append((own_names[child], signatures[child]))
                if bare:
                    own = (*own, tuple(bare))
                below = tuple(full)
            weights[module] = weight
            owns[module] = own = known_owns.setdefault(own, len(known_owns))
            if stop - start == 1:
                held: Any = (names[start], slots[start])
            else:
                held = (*names[start:stop], *slots[start:stop])
            key = (own, held, below, patterns.get(module)) if patterns else (own, held, below)
            signatures[module] = known.setdefault(key, len(known))

    def _read_sharing(self) -> None:
        snapshot = self.snapshot
        paths = snapshot.module_columns.paths
        for record in snapshot.sharing:
            members = snapshot.slots.positions(record.slots)
            above = self._lowest_common([snapshot.slot_columns.modules[slot] for slot in members])
            if above >= 0:
                cut = len(paths[above])
                pattern = (record.kind, tuple(path[cut:] for path in record.slots), record.nbytes)
                self._patterns[above] = (*self._patterns.get(above, ()), pattern)
                tie = Tie(self.depth(above), pattern)
            else:
                tie = Tie(-1, (record.kind,))
            for slot in members:
                self.ties.setdefault(slot, []).append(tie)

    def _lowest_common(self, modules: list[int]) -> int:
        """The lowest module above all of some modules; -1 where they have different roots."""
        # A parent has a lower number than its children, so the highest of several cannot be the common one.
        members = set(modules)
        pending = [-module for module in members]
        heapify(pending)
        while len(pending) > 1:
            highest = -heappop(pending)
            parent = self.parents[highest]
            if parent not in members:
                members.add(parent)
                heappush(pending, -parent)
        return -pending[0]
