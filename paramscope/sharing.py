"""Which slots meet in memory, and how: tied, aliased, overlapping or co-located. One record a fact.

All of it is told from the snapshot's columns. Linear in the number of views of a storage, but for strided views
that interleave, of which only as many pairs are decided as it takes to know which hang together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import chain
from math import gcd

from paramscope.overlap import share_bytes
from paramscope.snapshot import Note, SharingKind, SharingRecord, Snapshot
from paramscope.spans import Layout, covered_bytes, extent, layout_of, reached_bytes

PAIR_BOUND = 200_000
"""Pairs of strided views of one storage that are decided; what lies beyond is not known, and noted."""
LOOK_BOUND = 4_000_000
"""Pairs that are looked at, also those that are known to hang together."""


def find_sharing(
    snapshot: Snapshot, repeated: Set[int], crowded: Set[int]
) -> tuple[tuple[SharingRecord, ...], tuple[Note, ...]]:
    """Every fact about slots that share a tensor or bytes, in the order of their first slots; and what could not
    be decided.

    repeated: tensors in more than one slot. crowded: storages that more than one tensor views.
    """
    if not repeated and not crowded:
        return (), ()
    slots, tensors = snapshot.slot_columns, snapshot.tensor_columns
    slots_of: dict[int, list[int]] = {}
    tensors_of: dict[int, list[int]] = {}
    for slot, tensor in enumerate(slots.tensors):
        if tensor < 0:
            continue
        storage = tensors.storages[tensor]
        if storage in crowded or tensor in repeated:
            members = slots_of.setdefault(tensor, [])
            if not members and storage in crowded:
                tensors_of.setdefault(storage, []).append(tensor)
            members.append(slot)
    found: list[tuple[int, SharingRecord]] = []
    notes: list[Note] = []

    def add(kind: SharingKind, members: list[int], storage: int, nbytes: int) -> None:
        paths = tuple(map(snapshot.slots.path_at, members))
        found.append((members[0], SharingRecord(kind, paths, None if storage < 0 else storage, nbytes)))

    for tensor in sorted(repeated):
        add("tied", slots_of[tensor], tensors.storages[tensor], snapshot.tensor(tensor).spec.nbytes or 0)
    for storage, viewers in tensors_of.items():
        by_layout: dict[Layout, list[list[int]]] = {}
        for tensor in viewers:
            layout = layout_of(snapshot.tensor(tensor).spec, tensors.offsets[tensor])
            if layout is not None:
                by_layout.setdefault(layout, []).append(slots_of[tensor])
        for layout, alike in by_layout.items():
            if len(alike) > 1:
                add("aliased", sorted(chain.from_iterable(alike)), storage, reached_bytes(layout))
        if len(by_layout) < 2:
            continue
        layouts = sorted(by_layout)
        groups, undecided = connected(layouts)
        for group in groups:
            if len(group) > 1:
                there = [layouts[i] for i in group]
                members = sorted(slot for layout in there for alike in by_layout[layout] for slot in alike)
                add("overlapping", members, storage, sum(map(reached_bytes, there)) - covered_bytes(there))
        if undecided:
            slot = min(slots_of[viewers[0]])
            text = f"whether {undecided:,} pairs of views of this storage meet was not decided"
            notes.append(Note(snapshot.slots.path_at(slot), "overlap", text))
        elif len(groups) > 1:
            members = sorted(slot for alike in by_layout.values() for slots_here in alike for slot in slots_here)
            add("co-located", members, storage, covered_bytes(layouts))
    found.sort(key=lambda pair: (pair[0], pair[1].kind, pair[1].slots))
    return tuple(record for _, record in found), tuple(notes)


def connected(layouts: Sequence[Layout]) -> tuple[list[list[int]], int]:
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
        budget, looks = PAIR_BOUND, LOOK_BOUND
        for (one, i), (other, j) in _candidates(spans):
            looks -= 1
            first, second = sorted((root(i), root(j)))
            if first != second:
                budget -= 1
                meets = share_bytes(one, other) if budget >= 0 else None
                undecided += meets is None
                if meets:
                    parents[second] = first
            if budget < 0 or looks < 0:
                undecided = max(undecided, 1)
                break
    groups: dict[int, list[int]] = {}
    for i in range(len(layouts)):
        groups.setdefault(root(i), []).append(i)
    return list(groups.values()), undecided


Numbered = tuple[Layout, int]


def _candidates(spans: Sequence[Numbered]) -> Iterator[tuple[Numbered, Numbered]]:
    """Pairs of spans, given by rising start, that may share a byte."""
    cluster: list[Numbered] = []
    end = -1
    for span in spans:
        layout = span[0]
        if cluster and layout[0] >= end:
            yield from _candidates_of_cluster(cluster)
            cluster = []
        cluster.append(span)
        end = max(end, layout[0] + extent(layout))
    yield from _candidates_of_cluster(cluster)


def _candidates_of_cluster(cluster: Sequence[Numbered]) -> Iterator[tuple[Numbered, Numbered]]:
    """Pairs of which the extents meet, and so do they within the common period.

    Where every step beyond the contiguous runs is a multiple of one period, a span stays within its own residues
    of it: the columns of a matrix are told apart without looking at pairs.
    """
    period = gcd(*(step for (_, dims), _ in cluster for step, _ in dims[:-1]))
    longest = max(dims[-1][1] for (_, dims), _ in cluster)
    if period <= longest:
        yield from _meeting([(layout[0], layout[0] + extent(layout), (layout, i)) for layout, i in cluster])
        return
    arcs = []
    for layout, i in cluster:
        start = layout[0] % period
        end = start + layout[1][-1][1]
        arcs.append((start, min(end, period), (layout, i)))
        if end > period:
            arcs.append((0, end - period, (layout, i)))
    for one, other in _meeting(sorted(arcs)):
        low, high = sorted((one[0], other[0]))
        if low[0] + extent(low) > high[0]:
            yield one, other


def _meeting(intervals: list[tuple[int, int, Numbered]]) -> Iterator[tuple[Numbered, Numbered]]:
    """Pairs of (start, end, span) intervals, by rising start, that meet."""
    active: list[tuple[int, Numbered]] = []
    for start, end, span in intervals:
        active = [each for each in active if each[0] > start]
        for _, other in active:
            if other[1] != span[1]:
                yield other, span
        active.append((end, span))
