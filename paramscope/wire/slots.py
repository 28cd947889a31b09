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
        """All slots, as parsed. Raises ReportError."""
        self._place(self._from_objects(written), len(written))

    def read_texts(self, texts: list[str]) -> None:
        """All slots, as `in_texts` found them, each unparsed: what is like one before is not parsed again.

        Raises ReportError, and Unlike where one is not written as `slots_text` writes it.
        """
        self._place(self._from_texts(texts), len(texts))

    def _from_objects(self, written: list[Any]) -> Iterator[_Read]:
        own, shared, known = _read_own, _read_shared, self._known
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
            elif not (
                type(path) is str
                and type(name) is str
                and _is_number(offset)
                and _is_number(tensor)
                and _is_number(storage)
            ):
                read_record(SLOT, each, f"slots[{index}]")
            yield found, path, owner, name, offset, tensor, storage

    def _from_texts(self, texts: list[str]) -> Iterator[_Read]:
        known: dict[tuple[str, str, str], tuple[tuple[SlotRecord, int, int], str]] = {}
        for text in texts:
            path, _, rest = text.partition('","module":"')
            owner, _, rest = rest.partition('",')
            before, _, rest = rest.partition(',"offset":')
            offset, _, rest = rest.partition(",")
            between, _, rest = rest.partition(',"tensor":')
            tensor, _, rest = rest.partition(',"storage":')
            storage, _, after = rest.partition(",")
            key = (before, between, after)
            alike = known.get(key)
            if alike is None:
                (read,) = self._from_objects([_parsed(text)])
                if not read[0][0].parts:
                    known[key] = (read[0], read[3])
                if read[1:] != (_string(path), _string(owner), read[3], *map(_number, (offset, tensor, storage))):
                    raise Unlike
                yield read
                continue
            found, name = alike
            if "\\" in path or "\\" in owner:
                path, owner = _string(path), _string(owner)
            yield found, path, owner, name, _number(offset), _number(tensor), _number(storage)

    def _place(self, slots: Iterator[_Read], count: int) -> None:
        columns, modules, positions, first = self.columns, self._modules, self._positions, self.first
        paths, flags, settings, unknown = modules.paths, modules.flags, modules.settings, modules.unknown
        last_path, module = None, -1
        for index, (found, path, owner, name, offset, tensor, storage) in enumerate(slots):
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
            if tensor > count:
                raise damaged(f"slots[{index}].tensor", "is out of range")
            columns.tensors.append(tensor)
            earlier = first.get(tensor)
            if earlier is None:
                first[tensor] = (record, storage, offset)
            elif earlier[1:] != (storage, offset) or not _is_one_tensor(earlier[0], record):
                raise damaged(f"slots[{index}]", "contradicts itself or its module")


_Read = tuple[tuple[SlotRecord, int, int], str, str, str, "int | None", "int | None", "int | None"]
"""((what it has in common with others, how it is held, its number), path, module, name, offset, tensor, storage)."""
_START, _BETWEEN, _END = '"slots":[{"path":"', '},{"path":"', '}],"storages":['


class Unlike(Exception):
    """A text that is not as the writer writes it, right or wrong: it is to be parsed as any JSON is."""


def in_texts(report: str) -> tuple[str, list[str]] | None:
    """(the report without its slots, of each slot the text behind `{"path":"`); None where it has not the form that
    the writer gives it. Within strings JSON escapes quotes, so that no name can look like these bounds."""
    start = report.find(_START)
    end = report.find(_END, start)
    if start < 0 or end < 0:
        return None
    texts = report[start + len(_START) : end].split(_BETWEEN)
    return f'{report[:start]}"slots":0{report[end + 2 :]}', texts


def _parsed(text: str) -> Any:
    try:
        return json.loads(f'{{"path":"{text}}}')
    except (ValueError, RecursionError):
        raise Unlike from None


def _string(text: str) -> str:
    try:
        found = json.loads(f'"{text}"')
    except ValueError:
        raise Unlike from None
    assert isinstance(found, str)
    return found


def _number(text: str) -> int | None:
    if text == "null":
        return None
    if not (text.isdecimal() and text.isascii() and len(text) < 19) or (text[0] == "0" and text != "0"):
        raise Unlike
    return int(text)


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
