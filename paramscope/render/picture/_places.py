"""Folded tree → its nodes and rows in preorder, which rows hold the same tensors, and what lies below each node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from paramscope.analysis.fold import Node, Row
from paramscope.snapshot import Snapshot

COUNTED = ("trainable", "frozen", "hidden", "buffer", "attribute", "unknown")
"""What elements are counted by; a slot's status."""


class Place(NamedTuple):
    """A node of the folded tree and where it stands."""

    node: Node
    parent: int
    """Position of the node above; -1 for a root."""
    rows: range
    """Its rows that hold a tensor, by their position among all rows."""


class Held(NamedTuple):
    """Tensors that the same rows hold."""

    rows: list[int]
    """Positions of the rows, rising."""
    tensors: list[int]
    """Numbers of the distinct tensors, rising."""


class Sums(NamedTuple):
    """What lies in and below a node, every tensor once."""

    elements: dict[str, int]
    """By status; only those that are there."""
    tensors: int
    unsized: int
    """Tensors whose size is not known."""
    not_stepped: int
    """Trainable tensors that no optimizer holds; 0 without an optimizer."""
    in_groups: int
    """Tensors that an optimizer holds."""


class Places:
    """The tree as lists. A parent comes before its children."""

    def __init__(self, snapshot: Snapshot, roots: Iterable[Node]) -> None:
        self._snapshot = snapshot
        self.places: list[Place] = []
        self.rows: list[Row] = []
        self.owners: list[int] = []
        """For each row the position of its place."""
        stack = [(node, -1) for node in reversed(list(roots))]
        tensors = snapshot.slot_columns.tensors
        while stack:
            node, parent = stack.pop()
            number, first = len(self.places), len(self.rows)
            # An empty slot is a known nothing: no tensor, no row.
            held = [row for row in node.rows if tensors[row.slots[0]] >= 0]
            self.rows += held
            self.owners += [number] * len(held)
            self.places.append(Place(node, parent, range(first, len(self.rows))))
            stack.extend((child, number) for child in reversed(node.children))
        self.statuses_of = [snapshot.status(row.slots[0]) for row in self.rows]
        """For each row what its slots are."""
        self.held = self._gather()
        self.statuses = [min((self.statuses_of[row] for row in held.rows), key=COUNTED.index) for held in self.held]
        """For each of `held` what its tensors are: what a registered slot says, where there is one."""

    def _gather(self) -> list[Held]:
        """Rows by the tensors they hold: rows with a tensor in common are one."""
        tensors = self._snapshot.slot_columns.tensors
        first_row = [-1] * len(self._snapshot.tensor_columns.specs)
        parents = list(range(len(self.rows)))

        def top(row: int) -> int:
            while parents[row] != row:
                parents[row] = parents[parents[row]]
                row = parents[row]
            return row

        for number, row in enumerate(self.rows):
            for slot in row.slots:
                tensor = tensors[slot]
                before = first_row[tensor]
                if before < 0:
                    first_row[tensor] = number
                elif before != number and top(before) != top(number):
                    low, high = sorted((top(before), top(number)))
                    parents[high] = low
        found: dict[int, Held] = {}
        for number, parent in enumerate(parents):
            if parent == number:  # a top has the lowest number of its rows
                found[number] = Held([number], [])
            else:
                found[top(number)].rows.append(number)
        for tensor, number in enumerate(first_row):
            if number >= 0:
                found[number if parents[number] == number else top(number)].tensors.append(tensor)
        return list(found.values())

    def sums(self) -> list[Sums]:
        """For each place what lies in and below it.

        A tensor with several holders counts once at each, and is taken off again where their ways up meet.
        """
        columns, interned = self._snapshot.tensor_columns, self._snapshot.interned
        width, has_optimizer = len(COUNTED), bool(self._snapshot.optimizers)
        found = [[0] * (width + 4) for _ in self.places]
        for held, status in zip(self.held, self.statuses, strict=True):
            first = held.tensors[0]
            numel, count = interned.specs[columns.specs[first]].numel, len(held.tensors)
            in_group = bool(interned.memberships[columns.memberships[first]])
            is_missed = has_optimizer and status == "trainable" and not in_group
            change = [(COUNTED.index(status), count * (numel or 0)), (width, count)]
            change += [(width + 1 + i, count) for i, each in enumerate((numel is None, is_missed, in_group)) if each]
            owners = (
                sorted({self.owners[row] for row in held.rows}) if len(held.rows) > 1 else [self.owners[held.rows[0]]]
            )
            for i, owner in enumerate(owners):
                _add(found[owner], change, 1)
                if i:
                    meeting = self._meeting(owners[i - 1], owner)
                    if meeting >= 0:
                        _add(found[meeting], change, -1)
        for number in range(len(self.places) - 1, -1, -1):
            parent = self.places[number].parent
            if parent >= 0:
                _add(found[parent], enumerate(found[number]), 1)
        return [Sums({name: each[i] for i, name in enumerate(COUNTED) if each[i]}, *each[width:]) for each in found]

    def _meeting(self, one: int, other: int) -> int:
        """The lowest place above two; -1 where they have different roots."""
        while one != other:
            if one > other:
                one = self.places[one].parent
            else:
                other = self.places[other].parent
        return one


def _add(to: list[int], change: Iterable[tuple[int, int]], times: int) -> None:
    for i, each in change:
        if each:
            to[i] += times * each
