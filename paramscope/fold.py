"""Repeated siblings as one row: `layers.[0-31].attn.q.weight`, in time linear in the number of slots.

Every module gets a signature from the bottom up: type, mode, slots with shapes, dtypes, devices and fates, and
the signatures of its children. Numbered siblings of one signature become one. A tie enters the signature of
the lowest module above all its slots; below that, a slot carries only that it is tied, and how.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

from paramscope.snapshot import Snapshot, join
from paramscope.text import ranges

_NUMBERED = re.compile(r"(?s)(.*?)(0|[1-9][0-9]{0,17})(\]|\}|'\]|)")


class Row(NamedTuple):
    """Slots that are shown as one."""

    path: str
    """The path of the one slot, or a path with ranges in it."""
    slots: list[int]
    """Positions of the slots in the snapshot, one for each repetition."""


def fold_slots(snapshot: Snapshot) -> list[Row]:
    """All slots of a snapshot as rows, in its order. Expanding the rows gives back every slot once."""
    return list(_Folding(snapshot).rows())


def unfolded(snapshot: Snapshot) -> list[Row]:
    """A row for each slot."""
    return [Row(path, [index]) for index, path in enumerate(snapshot.slots)]


class _Folding:
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        columns = snapshot.module_columns
        self._count = len(columns.paths)
        self._parents, self._names = _tree(snapshot)
        self._children: dict[int, list[int]] = {}
        for module, parent in enumerate(self._parents):
            if parent >= 0:
                self._children.setdefault(parent, []).append(module)
        # Slots lie module by module.
        self._first_slot = [0] * (self._count + 1)
        for module in snapshot.slot_columns.modules:
            self._first_slot[module + 1] += 1
        for module in range(self._count):
            self._first_slot[module + 1] += self._first_slot[module]
        self._slot_signatures: list[int] = []
        self._signatures: list[int] = []
        self._sign()

    def _sign(self) -> None:
        snapshot = self._snapshot
        slots, tensors, modules = snapshot.slot_columns, snapshot.tensor_columns, snapshot.module_columns
        marks, ties = self._sharing()
        known: dict[Any, int] = {}
        specs, flags, memberships = tensors.specs, tensors.flags, tensors.memberships
        signatures = self._slot_signatures
        for slot, tensor in enumerate(slots.tensors):
            if tensor < 0:
                key: Any = (slots.holds[slot],)
            else:
                key = (slots.holds[slot], specs[tensor], flags[tensor], memberships[tensor], marks.get(slot))
            number = known.get(key)
            if number is None:
                number = known[key] = len(known)
            signatures.append(number)
        self._signatures = [0] * self._count
        names = slots.names
        # A child comes after its parent, so counting down meets children first.
        for module in range(self._count - 1, -1, -1):
            start, stop = self._first_slot[module], self._first_slot[module + 1]
            key = (
                modules.types[module],
                modules.flags[module],
                modules.unknown.get(module),
                modules.settings[module],
                ties.get(module),
                tuple(names[start:stop]),
                tuple(signatures[start:stop]),
                tuple([(self._names[c], self._signatures[c]) for c in self._children.get(module, ())]),
            )
            number = known.get(key)
            if number is None:
                number = known[key] = len(known)
            self._signatures[module] = number

    def _sharing(self) -> tuple[dict[int, tuple[str, ...]], dict[int, tuple[Any, ...]]]:
        """For each shared slot the kinds of its sharing, and for modules the sharing that lies wholly below."""
        snapshot = self._snapshot
        marks: dict[int, tuple[str, ...]] = {}
        ties: dict[int, tuple[Any, ...]] = {}
        if not snapshot.sharing:
            return marks, ties
        paths = snapshot.module_columns.paths
        for record in snapshot.sharing:
            members = [snapshot.slots.position(path) for path in record.slots]
            for slot in members:
                marks[slot] = (*marks.get(slot, ()), record.kind)
            above = self._lowest_common([snapshot.slot_columns.modules[slot] for slot in members])
            if above >= 0:
                cut = len(paths[above])
                relative = tuple(path[cut:] for path in record.slots)
                ties[above] = (*ties.get(above, ()), (record.kind, relative, record.nbytes))
        return marks, ties

    def _lowest_common(self, modules: list[int]) -> int:
        """The lowest module above all of some modules; -1 where they have different roots."""
        # A parent has a lower number than its children, so the highest of several cannot be the common one.
        members = set(modules)
        pending = [-module for module in members]
        heapify(pending)
        while len(pending) > 1:
            highest = -heappop(pending)
            parent = self._parents[highest]
            if parent not in members:
                members.add(parent)
                heappush(pending, -parent)
        return -pending[0]

    def rows(self) -> Iterator[Row]:
        roots = [module for module, parent in enumerate(self._parents) if parent < 0]
        stack = [(self._names[root], [root]) for root in reversed(roots)]
        while stack:
            label, modules = stack.pop()
            model = modules[0]
            start, stop = self._first_slot[model], self._first_slot[model + 1]
            names = self._snapshot.slot_columns.names
            for name, positions in _groups(
                [(names[slot], self._slot_signatures[slot]) for slot in range(start, stop)]
            ):
                members = [self._first_slot[m] + i for m in modules for i in positions]
                yield Row(join(label, name), members)
            children = self._children.get(model, ())
            folded = _groups([(self._names[child], self._signatures[child]) for child in children])
            if len(modules) == 1:
                below = [(name, [children[i] for i in positions]) for name, positions in folded]
            else:
                below = [
                    (name, [self._children[m][i] for m in modules for i in positions]) for name, positions in folded
                ]
            stack.extend((f"{label}.{name}" if label else name, found) for name, found in reversed(below))


def _groups(members: list[tuple[str, int]]) -> list[tuple[str, list[int]]]:
    """(name or folded name, positions) of siblings given as (name, signature).

    Siblings named by a number alone, or by an index, fold wherever they stand; those with a number at the end
    of a name (`block0`, `block1`) fold where they follow each other.
    """
    groups: list[tuple[str, list[int]]] = []
    numbers: list[list[int]] = []
    open_groups: dict[tuple[str, str, int], int] = {}
    last_key: Any = None
    for position, (name, signature) in enumerate(members):
        match = _NUMBERED.fullmatch(name)
        if match is None:
            groups.append((name, [position]))
            numbers.append([])
            last_key = None
            continue
        key = (match[1], match[3], signature)
        at = open_groups.get(key)
        is_index = not match[1] or match[3]
        if at is None or not (is_index or last_key == key):
            open_groups[key] = len(groups)
            groups.append((name, [position]))
            numbers.append([int(match[2])])
        else:
            groups[at][1].append(position)
            numbers[at].append(int(match[2]))
        last_key = key
    named = []
    for (name, positions), found in zip(groups, numbers, strict=True):
        if len(positions) > 1:
            match = _NUMBERED.fullmatch(name)
            assert match is not None
            start, end = match[1], match[3]
            text = ranges(found) if found == sorted(found) else ",".join(map(str, found))
            named.append((f"{start}{text}{end}" if end else f"{start}[{text}]", positions))
        else:
            named.append((name, positions))
    return named


def _tree(snapshot: Snapshot) -> tuple[list[int], list[str]]:
    """For each module the position of the module above (-1 for roots) and its own part of the path."""
    paths = snapshot.module_columns.paths
    positions: dict[str, int] = {}
    parents: list[int] = []
    names: list[str] = []
    roots = frozenset(snapshot.roots)
    for index, path in enumerate(paths):
        parent, above = -1, path
        if path not in roots or path in positions:
            while above:
                above = above.rpartition(".")[0]
                found = positions.get(above)
                if found is not None:
                    parent = found
                    break
        parents.append(parent)
        names.append(path if parent < 0 or not paths[parent] else path[len(paths[parent]) + 1 :])
        positions.setdefault(path, index)
    return parents, names
