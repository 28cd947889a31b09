"""Sums over a snapshot: what torch would count, and what it would not."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from math import prod
from typing import NamedTuple

from paramscope.analysis.nbytes import nbytes_by
from paramscope.analysis.untrained_rows import untrained_rows
from paramscope.snapshot import HERE, PARAMETER, REQUIRES_GRAD, Snapshot
from paramscope.snapshot.fates import is_registered


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
    flops: int | None = None
    """Floating-point operations of the forward that was run; None where nothing was."""
    activation_bytes: int | None = None
    """Bytes that it kept for backward."""


class _Held(NamedTuple):
    """Tensors by their numbers, as slots hold them."""

    named: list[int]
    """Parameters, once for every registered name."""
    buffers: set[int]
    others: dict[int, int]
    """What is not registered, with the first slot that holds it."""


def count_totals(snapshot: Snapshot) -> Totals:
    """Adds everything up."""
    tensors, specs = snapshot.tensor_columns, snapshot.interned.specs
    held = _held(snapshot)
    numels = [specs[spec].numel or 0 for spec in tensors.specs]

    def elements(of: Iterable[int]) -> int:
        return sum(map(numels.__getitem__, of))

    distinct = frozenset(held.named)
    parameters = elements(distinct)
    trainable = elements(tensor for tensor in distinct if tensors.flags[tensor] & REQUIRES_GRAD)
    status = {tensor: snapshot.status(slot) for tensor, slot in held.others.items()}
    return Totals(
        parameters=parameters,
        trainable=trainable,
        frozen=parameters - trainable,
        buffers=elements(held.buffers),
        hidden=elements(tensor for tensor in status if status[tensor] == "hidden"),
        attributes=elements(tensor for tensor in status if status[tensor] == "attribute"),
        by_name=None if snapshot.is_truncated else elements(held.named),
        effective_trainable=trainable - sum(row.numel for row in untrained_rows(snapshot)),
        nbytes=sum(nbytes_by(snapshot, repeat(0)).values()),
        local=_local(snapshot, parameters),
        unknown=sum(1 for spec in tensors.specs if specs[spec].shape is None and specs[spec].dtype),
        slots=len(snapshot.slot_columns.names),
        modules=len(snapshot.module_columns.paths),
        flops=snapshot.run.flops if snapshot.run else None,
        activation_bytes=snapshot.run.activation_bytes if snapshot.run else None,
    )


def _held(snapshot: Snapshot) -> _Held:
    found = _Held([], set(), {})
    slots, module_flags = snapshot.slot_columns, snapshot.module_columns.flags
    for slot, (tensor, hold, module) in enumerate(zip(slots.tensors, slots.holds, slots.modules, strict=True)):
        if tensor < 0:
            continue
        if not is_registered(hold, module_flags[module]):
            found.others.setdefault(tensor, slot)
        elif hold == PARAMETER:
            found.named.append(tensor)
        else:
            found.buffers.add(tensor)
    return found


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
        here = [part.spec.numel or 0 for part in parts if part.name == HERE]
        if here:
            sharded[tensor] = sum(here) - (specs[columns.specs[tensor]].numel or 0)
    if not sharded:
        return None
    slots = snapshot.slot_columns
    registered = {
        tensor
        for slot, tensor in enumerate(slots.tensors)
        if tensor in sharded and slots.holds[slot] == PARAMETER and snapshot.is_registered(slot)
    }
    return parameters + sum(sharded[tensor] for tensor in registered) if registered else None
