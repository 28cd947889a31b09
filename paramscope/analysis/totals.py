"""Sums over a snapshot: what torch would count, and what it would not."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from paramscope.analysis.untrained_rows import untrained_rows
from paramscope.snapshot import (
    ATTRIBUTE,
    PARAMETER,
    REQUIRES_GRAD,
    Snapshot,
)
from paramscope.snapshot.spans import Layout, covered_bytes, layout_of


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
    """Of unregistered Parameters and of unregistered leaves that require grad: of those that were found, where a
    note of kind `items` or `depth` says that not everything was looked into."""
    attributes: int
    """Of plain tensors that are neither registered nor hidden: of those that were found, as above."""
    by_name: int | None
    """Of parameters, once for every registered name; None where not all names are listed."""
    effective_trainable: int
    """`trainable` less the rows that never receive a gradient: an Embedding's `padding_idx`, unless the
    weight stands in another slot too."""
    nbytes: int
    """Bytes of all slots, each byte of a storage once."""
    local: int | None
    """As `parameters`, but for sharded ones the elements that this process holds, and for quantized ones those that
    are stored: torch's own sum. None where there are no such."""
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
        effective_trainable=trainable - sum(row.numel for row in untrained_rows(snapshot)),
        nbytes=_nbytes(snapshot),
        local=_local(snapshot, parameters),
        unknown=sum(1 for spec in tensors.specs if specs[spec].shape is None and specs[spec].dtype),
        slots=len(slots.names),
        modules=len(snapshot.module_columns.paths),
    )


def _nbytes(snapshot: Snapshot) -> int:
    tensors, specs = snapshot.tensor_columns, snapshot.interned.specs
    dense = [
        spec.nbytes if spec.stride is not None and _is_dense(spec.shape, spec.stride) else None for spec in specs
    ]
    there, memories = snapshot.storage_columns.nbytes, snapshot.storage_columns.memories
    by_memory: dict[int, list[Layout]] = {}
    alone: dict[int, int] = {}
    total = 0
    for tensor, storage in enumerate(tensors.storages):
        if storage in memories or storage in by_memory:
            by_memory.setdefault(memories.get(storage, (storage, 0))[0], []).extend(_layouts(snapshot, tensor))
        elif storage in alone:
            by_memory[storage] = [*_layouts(snapshot, alone.pop(storage)), *_layouts(snapshot, tensor)]
        elif storage >= 0:
            alone[storage] = tensor
        elif tensor not in tensors.parts:
            total += specs[tensors.specs[tensor]].nbytes or 0
    for tensor, parts in tensors.parts.items():
        total += sum(part.spec.nbytes or 0 for part in parts if part.storage is None)
        for part in parts:
            if part.storage is not None:
                memory = memories.get(part.storage, (part.storage, 0))[0]
                if memory in alone:
                    by_memory[memory] = _layouts(snapshot, alone.pop(memory))
                by_memory.setdefault(memory, [])
        for memory, layout in _part_layouts(snapshot, tensor):
            by_memory[memory].append(layout)
    for storage, tensor in alone.items():
        nbytes = dense[tensors.specs[tensor]]
        reached = covered_bytes(_layouts(snapshot, tensor)) if nbytes is None else nbytes
        # A storage may have been freed under its tensor, as sharding does between uses.
        total += min(reached, there[storage])
    for memory, layouts in by_memory.items():
        reached = covered_bytes(layouts)
        total += reached if memory in memories else min(reached, there[memory])
    return total


def _layouts(snapshot: Snapshot, tensor: int) -> list[Layout]:
    """The bytes of its memory that a tensor reaches, if it reaches any."""
    columns = snapshot.tensor_columns
    layout = layout_of(snapshot.interned.specs[columns.specs[tensor]], columns.offsets[tensor])
    if layout is None:
        return []
    start = snapshot.storage_columns.memories.get(columns.storages[tensor], (0, 0))[1]
    return [(layout[0] + start, layout[1])]


def _part_layouts(snapshot: Snapshot, tensor: int) -> Iterator[tuple[int, Layout]]:
    """(memory, the bytes of it) that the parts of a tensor reach."""
    for part in snapshot.tensor_columns.parts[tensor]:
        layout = layout_of(part.spec, part.offset)
        if part.storage is not None and layout is not None:
            memory, start = snapshot.storage_columns.memories.get(part.storage, (part.storage, 0))
            yield memory, (layout[0] + start, layout[1])


def _local(snapshot: Snapshot, parameters: int) -> int | None:
    """`parameters`, but with the elements of the shards that are here, and as they are stored; None where that is the
    same by nature."""
    columns, specs = snapshot.tensor_columns, snapshot.interned.specs
    sharded: dict[int, int] = {}
    stored = {
        number: prod(spec.shape) - (spec.numel or 0)
        for number, spec in enumerate(specs)
        if spec.shape is not None and spec.numel != prod(spec.shape)
    }
    if stored:
        sharded = {tensor: stored[spec] for tensor, spec in enumerate(columns.specs) if spec in stored}
    for tensor, parts in columns.parts.items():
        for part in parts:
            if part.name == "_local_tensor":
                sharded[tensor] = (part.spec.numel or 0) - (specs[columns.specs[tensor]].numel or 0)
    if not sharded:
        return None
    slots = snapshot.slot_columns
    registered = {
        tensor
        for slot, tensor in enumerate(slots.tensors)
        if tensor in sharded and slots.holds[slot] == PARAMETER and snapshot.is_registered(slot)
    }
    return parameters + sum(sharded[tensor] for tensor in registered) if registered else None


def _is_dense(shape: tuple[int, ...] | None, stride: tuple[int, ...]) -> bool:
    """Whether elements lie side by side in row-major order."""
    step = 1
    for size, found in zip(reversed(shape or ()), reversed(stride), strict=True):
        if size != 1 and found != step:
            return False
        step *= size
    return True
