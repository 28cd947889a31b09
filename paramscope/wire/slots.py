"""Slots ↔ JSON, where they are many: what thousands of them have in common is written, checked and read once."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator
from operator import eq, itemgetter
from typing import Any

from paramscope.snapshot import (
    HAS_GRAD,
    HOLDS,
    IS_LEAF,
    IS_PARAMETER,
    REQUIRES_GRAD,
    ModuleColumns,
    SlotColumns,
    SlotRecord,
    Snapshot,
    slot_path,
)
from paramscope.wire.fields import SLOT, damaged, write_record
from paramscope.wire.many import quote, template
from paramscope.wire.texts import OWN, Alike

_HOLD_OF = {hold: code for code, hold in enumerate(HOLDS)}


def slots_text(snapshot: Snapshot) -> str:
    """The list of slots as JSON."""
    return f"[{','.join(_texts(snapshot))}]"


def _texts(snapshot: Snapshot) -> Iterator[str]:
    slots, modules, tensors = snapshot.slot_columns, snapshot.module_columns, snapshot.tensor_columns
    quoted = [quote(path) for path in modules.paths]
    known: dict[Any, Callable[..., str]] = {}
    met: set[Any] = set()
    for index, tensor in enumerate(slots.tensors):
        module, name, hold = slots.modules[index], slots.names[index], slots.holds[index]
        common: Any = None
        storage = -1
        if tensor >= 0:
            storage = tensors.storages[tensor]
            common = (tensors.specs[tensor], tensors.flags[tensor], tensors.memberships[tensor], storage < 0)
            if tensor in tensors.parts:
                yield json.dumps(write_record(SLOT, snapshot.slots.at(index)), separators=(",", ":"))
                continue
        declared = None if tensor < 0 else snapshot.declared_shape(module, name)
        key = (hold, common, modules.flags[module], declared, modules.unknown.get(module))
        write = known.get(key)
        if write is None:
            # A template pays from the second of a kind on.
            if key not in met:
                met.add(key)
                yield json.dumps(write_record(SLOT, snapshot.slots.at(index)), separators=(",", ":"))
                continue
            write = known[key] = template(SLOT, snapshot.slots.at(index), OWN["slots"])
        path = quote(slot_path(modules.paths[module], name, hold))
        offset = "null" if storage < 0 else tensors.offsets[tensor]
        yield write(
            path,
            quoted[module],
            quote(name),
            offset,
            "null" if tensor < 0 else tensor,
            "null" if storage < 0 else storage,
        )


class SlotReader:
    """Slots as they were read → columns. Raises ReportError where they contradict one another or their modules."""

    def __init__(self, slots: Alike, modules: ModuleColumns, positions: dict[str, int]) -> None:
        """positions: of the modules, by their paths."""
        self._records, self._own = slots
        owners = [positions.get(owner, -1) for owner in self._own["module"]]
        _check((owner >= 0 for owner in owners), "has no such module")
        distinct = {id(record): record for record in self._records}
        codes = {key: _HOLD_OF.get((record.role, record.persistent), -1) for key, record in distinct.items()}
        holds = list(map(codes.__getitem__, map(id, self._records)))
        _check((hold >= 0 for hold in holds), "has no such role")
        names = self._own["name"]
        expected = list(map(slot_path, map(modules.paths.__getitem__, owners), names, holds))
        if expected != self._own["path"]:
            _check(map(eq, expected, self._own["path"]), _CONTRADICTS)
        tensors = [-1 if tensor is None else tensor for tensor in self._own["tensor"]]
        _check((tensor < len(tensors) for tensor in tensors), "is out of range", ".tensor")
        self.columns = SlotColumns(array("i", owners), names, bytearray(holds), array("i", tensors))
        self.first = self._first(tensors)
        """By tensor: the first slot that holds it, as far as it is like others, with its storage and offset."""
        self._modules = modules

    def _first(self, tensors: list[int]) -> dict[int, tuple[SlotRecord, int | None, int | None]]:
        storages, offsets = self._own["storage"], self._own["offset"]
        first: dict[int, tuple[SlotRecord, int | None, int | None]] = {}
        for index, (tensor, *found) in enumerate(zip(tensors, self._records, storages, offsets, strict=True)):
            record, storage, offset = found
            if tensor < 0:
                is_sound = record.type is None and storage is None and offset is None
            else:
                known = first.setdefault(tensor, (record, storage, offset))
                is_sound = known[1:] == (storage, offset) and _is_one_tensor(known[0], record)
            if not is_sound:
                raise damaged(f"slots[{index}]", _CONTRADICTS)
        return first

    def witnesses(self) -> list[tuple[int, SlotRecord]]:
        """(position, what was written) of slots of which one stands for all alike."""
        modules, owners = self._modules, self.columns.modules
        settings = list(map(modules.settings.__getitem__, owners))
        kinds = zip(
            map(id, self._records),
            map(modules.flags.__getitem__, owners),
            settings,
            # What a layer declares, it declares by name.
            (setting and name for setting, name in zip(settings, self.columns.names, strict=True)),
            map(modules.unknown.get, owners),
            (offset is None for offset in self._own["offset"]),
            (storage is None for storage in self._own["storage"]),
            strict=True,
        )
        every = list(kinds)
        # Backwards: of all that are alike, the first stays.
        first = dict(zip(reversed(every), range(len(every) - 1, -1, -1), strict=True))
        return [
            (index, self._records[index]._replace(**{name: values[index] for name, values in self._own.items()}))
            for index in sorted(first.values())
        ]


_CONTRADICTS = "contradicts itself or its module"


def _check(are_sound: Iterable[bool], what: str, field: str = "") -> None:
    for index, is_sound in enumerate(are_sound):
        if not is_sound:
            raise damaged(f"slots[{index}]{field}", what)


_of_tensor = itemgetter(
    *(
        SlotRecord._fields.index(name)
        for name in (
            *("type", "shape", "stride", "dtype", "device", "layout", "numel", "nbytes"),
            *("requires_grad", "is_leaf", "has_grad", "is_parameter", "groups", "parts"),
        )
    )
)


def _is_one_tensor(one: SlotRecord, other: SlotRecord) -> bool:
    return one is other or _of_tensor(one) == _of_tensor(other)


def flags_of(record: SlotRecord) -> int:
    """What the tensor columns keep of how autograd sees a tensor."""
    return (
        (REQUIRES_GRAD if record.requires_grad else 0)
        | (IS_LEAF if record.is_leaf else 0)
        | (HAS_GRAD if record.has_grad else 0)
        | (IS_PARAMETER if record.is_parameter else 0)
    )
