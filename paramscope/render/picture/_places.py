"""Folded tree → its nodes and rows in preorder, which rows hold the same tensors, and what lies below each node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from networkx.utils import UnionFind

from paramscope.analysis.fold import Node, Row
from paramscope.snapshot import Snapshot

COUNTED = ("trainable", "frozen", "hidden", "buffer", "attribute", "unknown")
"""What elements are counted by; a slot's status."""

Sums = dict[str, int]
"""What lies in and below a node, every tensor once: elements by status, `tensors`, `unsized` (of unknown size),
`not_stepped` (trainable, and in no optimizer that was given) and `in_groups`; as `again frozen` elements of a status
that a module before holds as well; of what is not there nothing, or 0."""


class Held(NamedTuple):
    """Tensors that the same rows hold."""

    rows: list[int]
    """Positions of the rows, rising."""
    tensors: list[int]
    """Numbers of the distinct tensors, rising."""
    status: str
    """What they are: what a registered slot says, where there is one."""


class Places:
    """The tree as lists. A parent comes before its children."""

    def __init__(self, snapshot: Snapshot, roots: Iterable[Node]) -> None:
        self._snapshot = snapshot
        self.nodes: list[Node] = []
        self.parents: list[int] = []
        """For each node the position of the one above; -1 for a root."""
        self.rows: list[Row] = []
        self.owners: list[int] = []
        """For each row the position of its node."""
        tensors = snapshot.slot_columns.tensors
        stack = [(node, -1) for node in reversed(list(roots))]
        while stack:
            node, parent = stack.pop()
            number = len(self.nodes)
            self.nodes.append(node)
            self.parents.append(parent)
            for row in node.rows:
                if tensors[row.slots[0]] >= 0:  # an empty slot is a known nothing: no tensor, no row
                    self.rows.append(row)
                    self.owners.append(number)
            if node.children:
                stack.extend([(child, number) for child in reversed(node.children)])
        self.statuses_of = [snapshot.status(row.slots[0]) for row in self.rows]
        """For each row what its slots are."""
        self.held = self._gather()
        """Rows with a tensor in common are one."""

    def _gather(self) -> list[Held]:
        tensors = self._snapshot.slot_columns.tensors
        first: dict[int, int] = {}
        """The first row that holds a tensor."""
        together = UnionFind(range(len(self.rows)))
        for number, row in enumerate(self.rows):
            for slot in row.slots:
                met = first.setdefault(tensors[slot], number)
                if met != number:
                    together.union(met, number)
        found: dict[int, tuple[list[int], list[int]]] = {}
        for number in range(len(self.rows)):
            found.setdefault(together[number], ([], []))[0].append(number)
        for tensor in sorted(first):
            found[together[first[tensor]]][1].append(tensor)
        rank, said = COUNTED.index, self.statuses_of
        return [Held(rows, tensors, min([said[row] for row in rows], key=rank)) for rows, tensors in found.values()]

    def sums(self) -> list[Sums]:
        """For each node what lies in and below it.

        A tensor with several holders counts once at each, and is taken off again where their ways up meet.
        """
        columns, interned = self._snapshot.tensor_columns, self._snapshot.interned
        has_optimizer = bool(self._snapshot.optimizers)
        found: list[Sums] = [{} for _ in self.nodes]
        for rows, tensors, status in self.held:
            first, count = tensors[0], len(tensors)
            numel = interned.specs[columns.specs[first]].numel
            change = {status: count * (numel or 0), "tensors": count}
            if numel is None:
                change["unsized"] = count
            if interned.memberships[columns.memberships[first]]:
                change["in_groups"] = count
            elif has_optimizer and status == "trainable":
                change["not_stepped"] = count
            before = -1
            for owner in sorted({self.owners[row] for row in rows}):
                _add(found[owner], change, 1)
                meeting = self._meeting(before, owner)
                if meeting >= 0:
                    _add(found[meeting], change, -1)
                if before < 0:
                    change = {**change, f"again {status}": change[status]}
                before = owner
        for number in range(len(self.nodes) - 1, -1, -1):
            if self.parents[number] >= 0:
                _add(found[self.parents[number]], found[number], 1)
        return found

    def _meeting(self, one: int, other: int) -> int:
        """The lowest node above two; -1 where they have different roots, or there is but one."""
        while one != other and one >= 0:
            if one > other:
                one = self.parents[one]
            else:
                other = self.parents[other]
        return one


def _add(to: Sums, change: Sums, times: int) -> None:
    for what, number in change.items():
        to[what] = to.get(what, 0) + times * number
