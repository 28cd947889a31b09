"""Rows of an Embedding's weight that no gradient of it reaches: those of `padding_idx`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from paramscope.snapshot import Snapshot


class UntrainedRow(NamedTuple):
    """One row of a weight that trains otherwise."""

    slot: int
    """Position of the weight's first slot."""
    row: int
    numel: int
    """Elements of the row."""


def untrained_rows(snapshot: Snapshot) -> Iterator[UntrainedRow]:
    """The padding rows of trainable weights that stand in no other slot: another use, such as a tied decoder, may
    train the row."""
    slots = snapshot.slot_columns
    indices = [dict(settings).get("padding_idx") for settings in snapshot.interned.settings]
    if not any(type(index) is int for index in indices):
        return
    padded = {
        module: index
        for module, setting in enumerate(snapshot.module_columns.settings)
        if type(index := indices[setting]) is int and module not in snapshot.module_columns.repeats
    }
    if not padded:
        return
    holders: dict[int, list[int]] = {}
    for slot, module in enumerate(slots.modules):
        if module in padded and slots.names[slot] == "weight" and slots.tensors[slot] >= 0:
            holders[slots.tensors[slot]] = []
    for slot, tensor in enumerate(slots.tensors):
        if tensor in holders:
            holders[tensor].append(slot)
    for first, *others in holders.values():
        record = snapshot.slots.at(first)
        module = slots.modules[first]
        if not record.trainable or module not in padded or record.shape is None or len(record.shape) != 2:
            continue
        # The same module under another path is no other use of the weight.
        objects = {snapshot.module_columns.repeats.get(slots.modules[i], slots.modules[i]) for i in others}
        if objects <= {module} and -record.shape[0] <= padded[module] < record.shape[0]:
            yield UntrainedRow(first, padded[module] % record.shape[0], record.shape[1])
