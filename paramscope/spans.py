"""Which slots meet in memory: ties by identity, aliases by equal span. No torch, no data.

A span is the set of bytes that a tensor reaches in its storage, told from offset, shape and stride.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Set

from paramscope.snapshot import SharingKind, SharingRecord, Snapshot, TensorSpec

Layout = tuple[int, tuple[tuple[int, int], ...]]
"""First byte and the (stride, size) pairs in bytes, outermost first: equal layouts reach equal bytes."""


def layout_of(spec: TensorSpec, offset: int) -> Layout | None:
    """The bytes a tensor reaches, in a form that is equal for a transposed or reshaped view of the same.

    None where they cannot be told, and for tensors that reach none.
    """
    if spec.stride is None or spec.shape is None or spec.nbytes is None or not spec.numel:
        return None
    itemsize = spec.nbytes // spec.numel
    dims = sorted(
        ((step * itemsize, size) for step, size in zip(spec.stride, spec.shape, strict=True) if size > 1 and step),
        reverse=True,
    )
    merged: list[tuple[int, int]] = [(1, itemsize)]
    for step, size in reversed(dims):
        inner_step, inner_size = merged[-1]
        if step == inner_step * inner_size:
            merged[-1] = (inner_step, inner_size * size)
        else:
            merged.append((step, size))
    return offset * itemsize, tuple(reversed(merged))


def reached_bytes(layout: Layout) -> int:
    """Number of distinct bytes, at most: what overlaps itself is counted by its extent."""
    return min(math.prod(size for _, size in layout[1]), extent(layout))


def extent(layout: Layout) -> int:
    """Bytes from the first to the last that is reached."""
    return 1 + sum(step * (size - 1) for step, size in layout[1])


def covered_bytes(layouts: Iterable[Layout]) -> int:
    """Number of bytes that several tensors reach together, each byte once.

    Exact where the tensors are without gaps or do not meet; else what lies in a gap between two elements of
    one and inside the extent of another may be counted once too often.
    """
    spans = sorted((layout[0], layout[0] + extent(layout), reached_bytes(layout)) for layout in layouts)
    total, end, filled = 0, 0, 0
    for start, stop, reached in spans:
        if start >= end:
            total += filled
            end, filled = stop, reached
        else:
            grown = max(0, stop - end)
            filled += min(grown, reached)
            end += grown
    return total + filled


def find_sharing(snapshot: Snapshot, repeated: Set[int], crowded: Set[int]) -> tuple[SharingRecord, ...]:
    """Every fact about slots that share a tensor or bytes, in the order of their first slots.

    repeated: tensors in more than one slot. crowded: storages that more than one tensor views.
    """
    if not repeated and not crowded:
        return ()
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

    def add(kind: SharingKind, members: list[int], storage: int, nbytes: int) -> None:
        paths = tuple(map(snapshot.slots.path_at, members))
        found.append((members[0], SharingRecord(kind, paths, None if storage < 0 else storage, nbytes)))

    for tensor in sorted(repeated):
        add("tied", slots_of[tensor], tensors.storages[tensor], snapshot.tensor(tensor).spec.nbytes or 0)
    for storage, viewers in tensors_of.items():
        by_layout: dict[Layout, list[int]] = {}
        for tensor in viewers:
            layout = layout_of(snapshot.tensor(tensor).spec, tensors.offsets[tensor])
            if layout is not None:
                by_layout.setdefault(layout, []).append(tensor)
        for layout, alike in by_layout.items():
            if len(alike) > 1:
                members = sorted(slot for tensor in alike for slot in slots_of[tensor])
                add("aliased", members, storage, reached_bytes(layout))
    found.sort(key=lambda pair: (pair[0], pair[1].kind, pair[1].slots))
    return tuple(record for _, record in found)
