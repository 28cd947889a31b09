"""Slots ↔ JSON, where they are many: what thousands of them have in common is written, checked and read once."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator
from operator import itemgetter
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
from paramscope.wire.fields import SLOT, damaged, read_record, write_record
from paramscope.wire.many import quote, template

OWN = ("path", "module", "name", "offset", "tensor", "storage")
"""Fields that each slot has of its own; the others, thousands have in common."""
WRITTEN = ("path", "module", "offset", "tensor", "storage")
"""Those of them that are not in common with slots of the same name."""
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
        key = (name, hold, common, modules.flags[module], modules.settings[module], modules.unknown.get(module))
        write = known.get(key)
        if write is None:
            # A template pays from the second of a kind on.
            if key not in met:
                met.add(key)
                yield json.dumps(write_record(SLOT, snapshot.slots.at(index)), separators=(",", ":"))
                continue
            write = known[key] = template(SLOT, snapshot.slots.at(index), WRITTEN)
        path = quote(slot_path(modules.paths[module], name, hold))
        offset = "null" if storage < 0 else tensors.offsets[tensor]
        yield write(
            path, quoted[module], offset, "null" if tensor < 0 else tensor, "null" if storage < 0 else storage
        )


class SlotReader:
    """Reads parsed slots to columns; what is like something that was read before is not checked again."""

    def __init__(self, modules: ModuleColumns, positions: dict[str, int]) -> None:
        self.columns = SlotColumns(array("i"), [], bytearray(), array("i"))
        self.first: dict[int, tuple[SlotRecord, int | None, int | None]] = {}
        """By tensor: the first slot that holds it, as far as it is like others, with its storage and offset."""
        self.witnesses: list[tuple[int, SlotRecord]] = []
        """(position, what was written) of slots of which one stands for all alike."""
        self._modules = modules
        self._positions = positions
        self._known: dict[Any, tuple[SlotRecord, int, int]] = {}
        self._seen: set[Any] = set()

    def read(self, written: list[Any]) -> None:
        """All slots. Raises ReportError."""
        own, shared = _read_own, _read_shared
        columns, modules, positions = self.columns, self._modules, self._positions
        paths, flags, settings, unknown = modules.paths, modules.flags, modules.settings, modules.unknown
        known, first = self._known, self.first
        count = len(written)
        last_path, module = None, -1
        for index, each in enumerate(written):
            try:
                shape, stride, declared, groups, parts, reasons, *rest = shared(each)
                key = (
                    tuple(rest),
                    None if shape is None else tuple(shape),
                    None if stride is None else tuple(stride),
                    None if declared is None else tuple(declared),
                    tuple([(group["optimizer"], group["group"]) for group in groups]) if groups else groups is None,
                    tuple(reasons.items()) if reasons else reasons is None,
                )
                found = None if parts or parts is None else known.get(key)
                path, owner, name, offset, tensor, storage = own(each)
            except (TypeError, KeyError, AttributeError):
                read_record(SLOT, each, f"slots[{index}]")  # says what is wrong
                raise
            if found is None:
                record = read_record(SLOT, each, f"slots[{index}]")
                hold = _HOLD_OF.get((record.role, record.persistent))
                if hold is None:
                    raise damaged(f"slots[{index}]", "has no such role")
                found = (record, hold, ~index if parts else len(known))
                if not parts:
                    known[key] = found
            elif not (type(path) is str and type(name) is str and _is_number(offset) and _is_number(storage)):
                read_record(SLOT, each, f"slots[{index}]")
            if owner != last_path:
                position = positions.get(owner) if type(owner) is str else None
                if position is None:
                    raise damaged(f"slots[{index}]", "has no such module")
                last_path, module = owner, position
            record, hold, number = found
            if path != slot_path(paths[module], name, hold):
                raise damaged(f"slots[{index}]", "contradicts itself or its module")
            columns.modules.append(module)
            columns.names.append(name)
            columns.holds.append(hold)
            witness = (number, name, flags[module], settings[module], unknown.get(module), offset is None)
            if witness not in self._seen:
                self._seen.add(witness)
                whole = record._replace(
                    path=path, module=owner, name=name, offset=offset, tensor=tensor, storage=storage
                )
                self.witnesses.append((index, whole))
            if tensor is None:
                columns.tensors.append(-1)
                if record.type is not None or storage is not None or offset is not None:
                    raise damaged(f"slots[{index}]", "contradicts itself or its module")
                continue
            if not _is_number(tensor):
                read_record(SLOT, each, f"slots[{index}]")
            if tensor > count:
                raise damaged(f"slots[{index}].tensor", "is out of range")
            columns.tensors.append(tensor)
            earlier = first.get(tensor)
            if earlier is None:
                first[tensor] = (record, storage, offset)
            elif earlier[1:] != (storage, offset) or not _is_one_tensor(earlier[0], record):
                raise damaged(f"slots[{index}]", "contradicts itself or its module")


_read_own = itemgetter(*OWN)
_COMPOSED = ("shape", "stride", "declared", "groups", "parts", "unknown")
_read_shared = itemgetter(*_COMPOSED, *(field.name for field in SLOT.fields if field.name not in (*OWN, *_COMPOSED)))
_of_tensor = itemgetter(
    *(
        SlotRecord._fields.index(name)
        for name in (
            *("type", "shape", "stride", "dtype", "device", "layout", "numel", "nbytes"),
            *("requires_grad", "is_leaf", "has_grad", "is_parameter", "groups", "parts"),
        )
    )
)


def _is_number(value: Any) -> bool:
    return value is None or (type(value) is int and 0 <= value < 1 << 63)


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
