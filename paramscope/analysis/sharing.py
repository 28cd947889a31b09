"""Which slots meet in memory, and how: tied, aliased, overlapping or co-located. One record a fact.

All of it is told from the snapshot's columns. Linear in the number of views of a storage, but for strided views
that interleave, of which only as many pairs are decided as it takes to know which hang together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import chain
from math import gcd

from paramscope.analysis.overlap import Budget, overlaps_itself, share_bytes
from paramscope.snapshot import Note, SharingKind, SharingRecord, Snapshot
from paramscope.snapshot.spans import Layout, covered_bytes, extent, layout_of, reached_bytes

LOOK_BOUND = 4_000_000
"""Pairs of strided views of one storage that are looked at; what lies beyond is not known, and noted."""


def find_sharing(
    snapshot: Snapshot, repeated: Set[int], crowded: Set[int]
) -> tuple[tuple[SharingRecord, ...], tuple[Note, ...]]:
    """Every fact about slots that share a tensor or bytes, in the order of their first slots; and what could not
    be decided.

    repeated: tensors in more than one slot. crowded: storages that more than one tensor views.
    """
    folded = _self_overlapping(snapshot)
    memories = snapshot.storage_columns.memories
    if not repeated and not crowded and not folded and not memories:
        return (), ()
    return _Search(snapshot, repeated, crowded, folded).run()


def _self_overlapping(snapshot: Snapshot) -> dict[int, bool | None]:
    """Specs, by number, of which several indices lead to one element; None where that is not decided."""
    found: dict[int, bool | None] = {}
    budget = Budget()
    for number, spec in enumerate(snapshot.interned.specs):
        if spec.shape is not None and spec.stride is not None:
            answer = overlaps_itself(spec.shape, spec.stride, budget)
            if answer is not False:
                found[number] = answer
    return found


class _Search:
    """The slots that may share something, by tensor and by memory."""

    def __init__(
        self, snapshot: Snapshot, repeated: Set[int], crowded: Set[int], folded: dict[int, bool | None]
    ) -> None:
        self._snapshot = snapshot
        self._repeated = repeated
        self._folded = folded
        self._memory = snapshot.memory
        self._crowded = crowded | snapshot.storage_columns.memories.keys()
        self._slots_of: dict[int, list[int]] = {}
        self._views: dict[int, list[tuple[int, Layout]]] = {}
        """(tensor, bytes) by the number of the memory, which is that of its first storage."""
        self._found: list[tuple[int, SharingRecord]] = []
        self._notes: list[Note] = []
        self._budget = Budget()

    def run(self) -> tuple[tuple[SharingRecord, ...], tuple[Note, ...]]:
        self._collect()
        tensors = self._snapshot.tensor_columns
        for tensor in sorted(self._repeated):
            nbytes = self._snapshot.tensor(tensor).spec.nbytes or 0
            self._add("tied", self._slots_of[tensor], tensors.storages[tensor], nbytes)
        for tensor in [tensor for tensor in self._slots_of if tensors.specs[tensor] in self._folded]:
            # What is made of others has strides that lead nowhere.
            if tensor not in tensors.parts:
                self._describe_folded(tensor)
        for memory, views in self._views.items():
            self._describe(memory, views)
        self._found.sort(key=lambda pair: (pair[0], pair[1].kind, pair[1].slots))
        return tuple(record for _, record in self._found), tuple(self._notes)

    def _collect(self) -> None:
        tensors, crowded, repeated, folded = (
            self._snapshot.tensor_columns,
            self._crowded,
            self._repeated,
            self._folded,
        )
        parts = tensors.parts
        for slot, tensor in enumerate(self._snapshot.slot_columns.tensors):
            if tensor < 0:
                continue
            storage = tensors.storages[tensor]
            if storage not in crowded and tensor not in parts:
                if tensor in repeated or (folded and tensors.specs[tensor] in folded):
                    self._slots_of.setdefault(tensor, []).append(slot)
                continue
            members = self._slots_of.setdefault(tensor, [])
            members.append(slot)
            if len(members) > 1:
                continue
            for span in self._memory.spans(tensor):
                if span.storage in crowded:
                    self._views.setdefault(span.memory, []).append((tensor, span.layout))

    def _add(self, kind: SharingKind, members: list[int], storage: int, nbytes: int) -> None:
        paths = tuple(map(self._snapshot.slots.path_at, members))
        self._found.append((members[0], SharingRecord(kind, paths, None if storage < 0 else storage, nbytes)))

    def _note(self, slot: int, text: str) -> None:
        self._notes.append(Note(self._snapshot.slots.path_at(slot), "overlap", text))

    def _describe_folded(self, tensor: int) -> None:
        """A tensor of which several indices lead to one element."""
        columns, slots = self._snapshot.tensor_columns, self._slots_of[tensor]
        if self._folded[columns.specs[tensor]] is None:
            self._note(slots[0], "whether several indices lead to one of its elements was not decided")
            return
        spec = self._snapshot.interned.specs[columns.specs[tensor]]
        layout = layout_of(spec, columns.offsets[tensor])
        if layout is not None:
            nbytes = (spec.nbytes or 0) - covered_bytes([layout])
            self._add("self-overlapping", slots, columns.storages[tensor], nbytes)

    def _describe(self, memory: int, views: list[tuple[int, Layout]]) -> None:
        """The views of one memory."""
        slots_of = self._slots_of
        by_layout: dict[Layout, dict[int, list[int]]] = {}
        for tensor, layout in views:
            by_layout.setdefault(layout, {})[tensor] = slots_of[tensor]
        for layout, alike in by_layout.items():
            if len(alike) > 1:
                self._add("aliased", sorted(chain.from_iterable(alike.values())), memory, reached_bytes(layout))
        if len(by_layout) < 2:
            return
        layouts = sorted(by_layout)
        groups, undecided = connected(layouts, self._budget)
        for group in groups:
            there = [layouts[i] for i in group]
            members = sorted({slot for layout in there for slots in by_layout[layout].values() for slot in slots})
            if len(group) > 1:
                self._add("overlapping", members, memory, sum(map(reached_bytes, there)) - covered_bytes(there))
        members = sorted({slot for alike in by_layout.values() for slots in alike.values() for slot in slots})
        if undecided:
            self._note(members[0], f"whether {undecided:,} pairs of views of this storage meet was not decided")
        elif len(groups) > 1 and len({tensor for tensor, _ in views}) > 1:
            self._add("co-located", members, memory, covered_bytes(layouts))


def connected(layouts: Sequence[Layout], budget: Budget) -> tuple[list[list[int]], int]:
    """Spans, given by rising start, in groups that hang together by shared bytes; and how many pairs, of those
    that would tell, could not be decided."""
    parents = list(range(len(layouts)))

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    # Spans without gaps that meet are one span without gaps.
    solid: list[tuple[Layout, int]] = []
    strided: list[tuple[Layout, int]] = []
    for i, layout in enumerate(layouts):
        if len(layout[1]) > 1:
            strided.append((layout, i))
            continue
        end = layout[0] + extent(layout)
        if solid and layout[0] < solid[-1][0][0] + extent(solid[-1][0]):
            (start, _), first = solid[-1]
            parents[i] = first
            solid[-1] = ((start, ((1, max(end, start + extent(solid[-1][0])) - start),)), first)
        else:
            solid.append((layout, i))
    undecided = 0
    if strided:
        spans = sorted(solid + strided)
        looks = Budget(LOOK_BOUND)
        for (one, i), (other, j) in _candidates(spans, looks):
            first, second = sorted((root(i), root(j)))
            if first != second:
                meets = share_bytes(one, other, budget)
                undecided += meets is None
                if meets:
                    parents[second] = first
        if not looks.left:
            undecided += 1
    groups: dict[int, list[int]] = {}
    for i in range(len(layouts)):
        groups.setdefault(root(i), []).append(i)
    return list(groups.values()), undecided


Numbered = tuple[Layout, int]


def _candidates(spans: Sequence[Numbered], looks: Budget) -> Iterator[tuple[Numbered, Numbered]]:
    """Pairs of spans, given by rising start, that may share a byte; as many as may be looked at."""
    cluster: list[Numbered] = []
    end = -1
    for span in spans:
        layout = span[0]
        if cluster and layout[0] >= end:
            yield from _candidates_of_cluster(cluster, looks)
            cluster = []
        cluster.append(span)
        end = max(end, layout[0] + extent(layout))
    yield from _candidates_of_cluster(cluster, looks)


def _candidates_of_cluster(cluster: Sequence[Numbered], looks: Budget) -> Iterator[tuple[Numbered, Numbered]]:
    """Pairs of which the extents meet, and so do they within the common period.

    Where every step beyond the contiguous runs is a multiple of one period, a span stays within its own residues
    of it: the columns of a matrix are told apart without looking at pairs.
    """
    period = gcd(*(step for (_, dims), _ in cluster for step, _ in dims[:-1]))
    longest = max(dims[-1][1] for (_, dims), _ in cluster)
    if period <= longest:
        yield from _meeting([(layout[0], layout[0] + extent(layout), (layout, i)) for layout, i in cluster], looks)
        return
    arcs = []
    for layout, i in cluster:
        start = layout[0] % period
        end = start + layout[1][-1][1]
        arcs.append((start, min(end, period), (layout, i)))
        if end > period:
            arcs.append((0, end - period, (layout, i)))
    for one, other in _meeting(sorted(arcs), looks):
        low, high = sorted((one[0], other[0]))
        if low[0] + extent(low) > high[0]:
            yield one, other


def _meeting(intervals: list[tuple[int, int, Numbered]], looks: Budget) -> Iterator[tuple[Numbered, Numbered]]:
    """Pairs of (start, end, span) intervals, by rising start, that meet."""
    active: list[tuple[int, Numbered]] = []
    for start, end, span in intervals:
        active = [each for each in active if each[0] > start]
        if not looks.take(len(active)):
            looks.left = 0
            return
        for _, other in active:
            if other[1] != span[1]:
                yield other, span
        active.append((end, span))
