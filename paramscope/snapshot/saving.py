"""Which bytes of each storage a checkpoint is meant to hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paramscope.snapshot.columns import ATTRIBUTE, REGISTERED, TRANSIENT_BUFFER
from paramscope.snapshot.spans import Layout, covered_bytes, layout_of

if TYPE_CHECKING:
    from paramscope.snapshot.records import TensorSpec
    from paramscope.snapshot.whole import Snapshot


def saved_bytes(snapshot: Snapshot) -> dict[int, int]:
    """Bytes that registered, persistent slots reach, by the number of the storage; absent where there are none."""
    slots, tensors, specs = snapshot.slot_columns, snapshot.tensor_columns, snapshot.interned.specs
    module_flags, there = snapshot.module_columns.flags, snapshot.storage_columns.nbytes
    layouts: dict[int, list[Layout]] = {}
    met: set[int] = set()
    for slot, tensor in enumerate(slots.tensors):
        if tensor < 0 or slots.holds[slot] in (ATTRIBUTE, TRANSIENT_BUFFER) or tensor in met:
            continue
        if not module_flags[slots.modules[slot]] & REGISTERED:
            continue
        met.add(tensor)
        spans: list[tuple[TensorSpec, int | None, int]] = [
            (specs[tensors.specs[tensor]], tensors.storages[tensor], tensors.offsets[tensor])
        ]
        spans.extend((part.spec, part.storage, part.offset) for part in tensors.parts.get(tensor, ()))
        for spec, storage, offset in spans:
            layout = layout_of(spec, offset)
            if storage is not None and storage >= 0 and layout is not None:
                layouts.setdefault(storage, []).append(layout)
    return {storage: min(covered_bytes(found), there[storage]) for storage, found in layouts.items()}
