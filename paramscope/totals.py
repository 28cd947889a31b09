"""Sums over a snapshot: what torch would count, and what it would not."""

from __future__ import annotations

from typing import NamedTuple

from paramscope.snapshot import (
    ATTRIBUTE,
    PARAMETER,
    REQUIRES_GRAD,
    Snapshot,
)
from paramscope.spans import Layout, covered_bytes, layout_of


class Totals(NamedTuple):
    """Counts of elements, each tensor once unless said otherwise. What is lazy is in `unknown` alone."""

    parameters: int
    """`sum(p.numel() for p in model.parameters())`."""
    trainable: int
    """Those of `parameters` that require grad."""
    frozen: int
    """Those of `parameters` that do not."""
    buffers: int
    """`sum(b.numel() for b in model.buffers())`."""
    hidden: int
    """Of unregistered Parameters and of unregistered leaves that require grad."""
    attributes: int
    """Of plain tensors that are neither registered nor hidden."""
    by_name: int | None
    """Of parameters, once for every registered name; None where not all names are listed."""
    effective_trainable: int
    """`trainable` less the rows that never receive a gradient: an Embedding's `padding_idx`, unless the
    weight stands in another slot too."""
    nbytes: int
    """Bytes of all slots, each byte of a storage once."""
    local: int | None
    """`sum(p.numel() …)` as torch itself would give it, where `parameters` counts logical elements (sharded
    or packed weights); None where the two are the same."""
    unknown: int
    """Number of tensors whose elements cannot be counted: lazy ones before the first forward, nested ones."""
    slots: int
    """Number of slots."""
    modules: int
    """Number of module paths."""


def count_totals(snapshot: Snapshot) -> Totals:
    """Adds everything up in one pass over the columns."""
    slots, tensors, specs = snapshot.slot_columns, snapshot.tensor_columns, snapshot.interned.specs
    module_flags = snapshot.module_columns.flags
    numels = [spec.numel for spec in specs]
    count = len(tensors.specs)
    as_parameter, as_buffer, as_other = bytearray(count), bytearray(count), bytearray(count)
    parameters = trainable = buffers = hidden = attributes = by_name = 0
    for slot, tensor in enumerate(slots.tensors):
        if tensor < 0:
            continue
        numel = numels[tensors.specs[tensor]] or 0
        hold = slots.holds[slot]
        if hold == ATTRIBUTE or not module_flags[slots.modules[slot]] & 1:
            if not as_other[tensor]:
                as_other[tensor] = 1
                status = snapshot.status(slot)
                if status == "hidden":
                    hidden += numel
                elif status == "attribute":
                    attributes += numel
        elif hold == PARAMETER:
            by_name += numel
            if not as_parameter[tensor]:
                as_parameter[tensor] = 1
                parameters += numel
                if tensors.flags[tensor] & REQUIRES_GRAD:
                    trainable += numel
        elif not as_buffer[tensor]:
            as_buffer[tensor] = 1
            buffers += numel
    return Totals(
        parameters=parameters,
        trainable=trainable,
        frozen=parameters - trainable,
        buffers=buffers,
        hidden=hidden,
        attributes=attributes,
        by_name=None if snapshot.is_truncated else by_name,
        effective_trainable=trainable - _untrained_elements(snapshot),
        nbytes=_nbytes(snapshot),
        local=None,
        unknown=sum(1 for spec in tensors.specs if specs[spec].shape is None and specs[spec].dtype),
        slots=len(slots.names),
        modules=len(snapshot.module_columns.paths),
    )


def _untrained_elements(snapshot: Snapshot) -> int:
    """Elements of the padding rows that no gradient reaches."""
    slots = snapshot.slot_columns
    padded = {
        module: index
        for module, settings in snapshot.module_columns.settings.items()
        if type(index := dict(settings).get("padding_idx")) is int and module not in snapshot.module_columns.repeats
    }
    if not padded:
        return 0
    holders: dict[int, list[int]] = {}
    for slot, module in enumerate(slots.modules):
        if module in padded and slots.names[slot] == "weight" and slots.tensors[slot] >= 0:
            holders[slots.tensors[slot]] = []
    for slot, tensor in enumerate(slots.tensors):
        if tensor in holders:
            holders[tensor].append(slot)
    total = 0
    for first, *others in holders.values():
        record = snapshot.slots.at(first)
        module = slots.modules[first]
        if not record.trainable or module not in padded or record.shape is None or len(record.shape) != 2:
            continue
        # The same module under another path is no other use of the weight.
        objects = {snapshot.module_columns.repeats.get(slots.modules[i], slots.modules[i]) for i in others}
        if objects <= {module} and -record.shape[0] <= padded[module] < record.shape[0]:
            total += record.shape[1]
    return total


def _nbytes(snapshot: Snapshot) -> int:
    tensors, specs = snapshot.tensor_columns, snapshot.interned.specs
    dense = [
        spec.nbytes if spec.stride is not None and _is_dense(spec.shape, spec.stride) else None for spec in specs
    ]
    there = snapshot.storage_columns.nbytes
    by_storage: dict[int, list[int]] = {}
    alone: dict[int, int] = {}
    total = 0
    for tensor, storage in enumerate(tensors.storages):
        if storage < 0:
            total += specs[tensors.specs[tensor]].nbytes or 0
        elif storage in alone:
            by_storage.setdefault(storage, [alone[storage]]).append(tensor)
        else:
            alone[storage] = tensor
    for storage, tensor in alone.items():
        if storage not in by_storage:
            nbytes = dense[tensors.specs[tensor]]
            reached = covered_bytes(_layouts(snapshot, [tensor])) if nbytes is None else nbytes
            # A storage may have been freed under its tensor, as sharding does between uses.
            total += min(reached, there[storage])
    for storage, members in by_storage.items():
        total += min(covered_bytes(_layouts(snapshot, members)), there[storage])
    return total


def _layouts(snapshot: Snapshot, tensors: list[int]) -> list[Layout]:
    columns, specs = snapshot.tensor_columns, snapshot.interned.specs
    found = (layout_of(specs[columns.specs[i]], columns.offsets[i]) for i in tensors)
    return [layout for layout in found if layout is not None]


def _is_dense(shape: tuple[int, ...] | None, stride: tuple[int, ...]) -> bool:
    """Whether elements lie side by side in row-major order."""
    step = 1
    for size, found in zip(reversed(shape or ()), reversed(stride), strict=True):
        if size != 1 and found != step:
            return False
        step *= size
    return True
