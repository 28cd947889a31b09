"""A snapshot → the bytes of its tensors, each byte of a storage once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from paramscope.snapshot import Snapshot, TensorSpec
from paramscope.snapshot.spans import Layout, covered_bytes, layout_of


def nbytes_by(snapshot: Snapshot, kinds: Iterable[int]) -> Counter[int]:
    """Bytes of all tensors by kind, each byte of a storage once: what tensors of several kinds reach counts for the
    lowest.

    kinds: a number for each tensor.
    """
    tensors, specs, there = snapshot.tensor_columns, snapshot.interned.specs, snapshot.storage_columns.nbytes
    alone = list(map(_reached_alone, specs))
    crowded = _crowded(snapshot)
    together: list[tuple[int, int]] = []
    sums: Counter[int] = Counter()
    for tensor, (storage, spec, kind) in enumerate(zip(tensors.storages, tensors.specs, kinds, strict=False)):
        if storage in crowded or tensor in tensors.parts:
            together.append((kind, tensor))
        elif storage < 0:
            sums[kind] += specs[spec].nbytes or 0
        else:
            # A storage may have been freed under its tensor, as sharding does between uses.
            sums[kind] += min(alone[spec], there[storage])
    sums.update(_nbytes_together(snapshot, sorted(together)))
    return sums


@lru_cache(maxsize=4096)
def _reached_alone(spec: TensorSpec) -> int:
    layout = layout_of(spec, 0)
    return 0 if layout is None else covered_bytes([layout])


def _crowded(snapshot: Snapshot) -> set[int]:
    """Storages of which more than one tensor, or part of one, may reach bytes."""
    tensors = snapshot.tensor_columns
    crowded = {storage for storage, viewers in Counter(tensors.storages).items() if viewers > 1 and storage >= 0}
    crowded.update(snapshot.storage_columns.memories)
    crowded.update(part.storage for parts in tensors.parts.values() for part in parts if part.storage is not None)
    return crowded


def _nbytes_together(snapshot: Snapshot, tensors: Iterable[tuple[int, int]]) -> Counter[int]:
    """Bytes, by kind, of tensors that may reach the same ones, and of what tensors are made of.

    tensors: (kind, tensor), by rising kind.
    """
    there, memories = snapshot.storage_columns.nbytes, snapshot.storage_columns.memories
    by_memory: dict[int, dict[int, list[Layout]]] = {}
    sums: Counter[int] = Counter()
    for kind, tensor in tensors:
        for span in snapshot.memory.spans(tensor):
            by_memory.setdefault(span.memory, {}).setdefault(kind, []).append(span.layout)
        parts = snapshot.tensor_columns.parts.get(tensor, ())
        sums[kind] += sum(part.spec.nbytes or 0 for part in parts if part.storage is None)
    for memory, by_kind in by_memory.items():
        layouts: list[Layout] = []
        before = 0
        for kind, more in by_kind.items():
            layouts += more
            reached = covered_bytes(layouts)
            if memory not in memories:
                reached = min(reached, there[memory])
            sums[kind] += reached - before
            before = reached
    return sums
