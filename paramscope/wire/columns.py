"""What was read of modules, slots and storages → the columns of a snapshot, and whether it contradicts itself."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from math import prod
from operator import attrgetter
from typing import Any, NamedTuple

from paramscope.errors import ReportError
from paramscope.snapshot import (
    HAS_GRAD,
    HOLDS,
    IS_LEAF,
    IS_PARAMETER,
    REGISTERED,
    REQUIRES_GRAD,
    TRAINING,
    Membership,
    ModuleColumns,
    Setting,
    SlotColumns,
    SlotRecord,
    Snapshot,
    StorageColumns,
    TensorColumns,
    TensorSpec,
    slot_path,
)
from paramscope.wire.records import Module, Slot, Storage, to_record

_HOLD_OF = {hold: code for code, hold in enumerate(HOLDS)}
_CONTRADICTS = "contradicts itself or its module"
_OWN = ("path", "module", "name", "offset", "tensor", "storage", "unknown")
_alike_of = attrgetter(*(name for name in Slot.__struct_fields__ if name not in _OWN))
"""What thousands of slots have in common, but for the reasons: dicts cannot be hashed."""
_spec_of = attrgetter(*TensorSpec._fields)
_how_of = attrgetter("requires_grad", "is_leaf", "has_grad", "is_parameter", "groups", "parts")


def damaged(where: str, what: str) -> ReportError:
    """The error for a report that says something it cannot."""
    return ReportError(f"this is no sound report: {where} {what}", "Save it again: paramscope inspect … -o FILE.json")


class ModuleReader:
    """Modules as they were read → columns. Raises ReportError."""

    def __init__(self, modules: Iterable[Module]) -> None:
        types: dict[str, int] = {}
        settings: dict[tuple[tuple[str, Setting], ...], int] = {(): 0}
        self.columns = columns = ModuleColumns([], array("i"), bytearray(), {}, array("i"), {})
        self.positions: dict[str, int] = {}
        """By path; of two equal ones the first."""
        for index, module in enumerate(modules):
            path = module.path
            self.positions.setdefault(path, index)
            columns.paths.append(path)
            columns.types.append(types.setdefault(module.type, len(types)))
            columns.flags.append((module.registered and REGISTERED) | (module.training and TRAINING))
            setting = tuple(module.settings.items())
            columns.settings.append(settings.setdefault(setting, len(settings)) if setting else 0)
            if module.object > index:
                raise damaged(f"modules[{index}].object", "points behind itself")
            if module.object != index:
                columns.repeats[index] = module.object
            if module.unknown:
                columns.unknown[index] = tuple(module.unknown.items())
        self.types = tuple(types)
        self.settings = tuple(settings)


class _Kind(NamedTuple):
    """What slots have that are alike but for what each has of its own."""

    number: int
    hold: int
    record: SlotRecord
    """The first of them."""


_Held = tuple[_Kind, "int | None", "int | None"]
"""A tensor, as the first slot that holds it says: with its storage and its offset there."""


class SlotReader:
    """Slots as they were read → columns. Raises ReportError where they contradict one another or their modules."""

    def __init__(self, slots: Iterable[Slot], count: int, modules: ModuleReader) -> None:
        """count: of the slots."""
        self.columns = columns = SlotColumns(array("i"), [], bytearray(), array("i"))
        self.tensors: dict[int, _Held] = {}
        self._kinds: dict[Any, _Kind] = {}
        self._witnesses: dict[Any, tuple[int, Slot]] = {}
        kinds, positions, witnesses = self._kinds, modules.positions, self._witnesses
        flags, settings, unknown = modules.columns.flags, modules.columns.settings, modules.columns.unknown
        names: dict[str, str] = {}
        for index, slot in enumerate(slots):
            key = (_alike_of(slot), tuple(slot.unknown.items()))
            kind = kinds.get(key) or self._new_kind(key, index, slot)
            number, hold, _ = kind
            owner, name, tensor = positions.get(slot.module), slot.name, slot.tensor
            if owner is None:
                raise damaged(f"slots[{index}]", "has no such module")
            if tensor is not None and tensor >= count:
                raise damaged(f"slots[{index}].tensor", "is out of range")
            if slot_path(slot.module, name, hold) != slot.path or not self._is_sound(slot, kind):
                raise damaged(f"slots[{index}]", _CONTRADICTS)
            columns.modules.append(owner)
            columns.names.append(names.setdefault(name, name))
            columns.holds.append(hold)
            columns.tensors.append(-1 if tensor is None else tensor)
            setting = settings[owner]
            # What a layer declares, it declares by name.
            declares = setting and name
            seen = (
                number,
                flags[owner],
                setting,
                declares,
                unknown.get(owner),
                slot.offset is None,
                slot.storage is None,
            )
            if seen not in witnesses:
                witnesses[seen] = index, slot

    def _new_kind(self, key: Any, index: int, slot: Slot) -> _Kind:
        hold = _HOLD_OF.get((slot.role, slot.persistent))
        if hold is None:
            raise damaged(f"slots[{index}]", "has no such role")
        kind = self._kinds[key] = _Kind(len(self._kinds), hold, to_record(slot))
        return kind

    def _is_sound(self, slot: Slot, kind: _Kind) -> bool:
        """Whether a slot says of its tensor what the first one said."""
        if slot.tensor is None:
            return slot.type is None and slot.storage is None and slot.offset is None
        first = self.tensors.get(slot.tensor)
        if first is None:
            self.tensors[slot.tensor] = kind, slot.storage, slot.offset
            return True
        one, other = first[0].record, kind.record
        return first[1:] == (slot.storage, slot.offset) and (
            one is other or (_spec_of(one) == _spec_of(other) and _how_of(one) == _how_of(other))
        )

    def check(self, snapshot: Snapshot) -> None:
        """That the columns, which hold less, say what was written: of all that are alike the first is asked."""
        for index, slot in self._witnesses.values():
            if snapshot.slots.at(index) != to_record(slot):
                raise damaged(f"slots[{index}]", _CONTRADICTS)


class TensorReader:
    """Tensors, as the slots hold them → columns, numbered as capture numbers them. Raises ReportError."""

    def __init__(self, tensors: dict[int, _Held], storages: int, *, has_quantized: bool) -> None:
        """storages: their number. has_quantized: whether some tensors stand for other elements than they store."""
        self._specs: dict[TensorSpec, int] = {}
        self._memberships: dict[tuple[Membership, ...], int] = {(): 0}
        self._has_quantized = has_quantized
        self.devices: dict[str, int] = {}
        self.columns = columns = TensorColumns(array("i"), array("i"), array("q"), bytearray(), array("i"), {})
        known: dict[int, tuple[int, int, int]] = {}
        for number in range(len(tensors)):
            if number not in tensors:
                raise damaged("slots", f"hold no tensor {number}")
            kind, storage, offset = tensors[number]
            parts = kind.record.parts
            is_placed = storage is None or (storage < storages and offset is not None)
            if parts:
                columns.parts[number] = parts
                is_placed = is_placed and all(part.storage is None or part.storage < storages for part in parts)
            if not is_placed:
                raise damaged(f"tensor {number}", "views no storage that is there")
            alike = known.get(kind.number)
            if alike is None:
                alike = known[kind.number] = self._alike(kind.record)
            spec, flags, membership = alike
            columns.specs.append(spec)
            columns.storages.append(-1 if storage is None else storage)
            columns.offsets.append(offset or 0)
            columns.flags.append(flags)
            columns.memberships.append(membership)
        self.specs = tuple(self._specs)
        self.memberships = tuple(self._memberships)

    def _alike(self, record: SlotRecord) -> tuple[int, int, int]:
        """(number of the spec, flags, number of the memberships) of tensors that are like one."""
        if record.type is None:
            raise damaged(f"the slot {record.path!r}", "holds a tensor without a type")
        spec = TensorSpec(*_spec_of(record))
        if not self._is_coherent(spec):
            raise damaged(f"the slot {record.path!r}", "has a shape that contradicts its strides or its elements")
        for each in (spec, *(part.spec for part in record.parts)):
            self.devices.setdefault(each.device or "none", len(self.devices))
        flags = (
            (REQUIRES_GRAD if record.requires_grad else 0)
            | (IS_LEAF if record.is_leaf else 0)
            | (HAS_GRAD if record.has_grad else 0)
            | (IS_PARAMETER if record.is_parameter else 0)
        )
        return (
            self._specs.setdefault(spec, len(self._specs)),
            flags,
            self._memberships.setdefault(record.groups, len(self._memberships)),
        )

    def _is_coherent(self, spec: TensorSpec) -> bool:
        if spec.shape is None:
            return spec.stride is None and spec.numel is None
        is_numel = spec.numel == prod(spec.shape)
        if self._has_quantized and not is_numel:
            is_numel = 0 < (spec.numel or 0) <= 8 * (spec.nbytes or 0)
        return is_numel and (spec.stride is None or len(spec.stride) == len(spec.shape))


def read_storages(storages: Iterable[Storage], devices: dict[str, int]) -> StorageColumns:
    """Storages as they were read → columns. devices: the number of each. Raises ReportError."""
    columns = StorageColumns(array("q"), array("i"), {})
    memories, starts = array("i"), {}
    for index, storage in enumerate(storages):
        if storage.number != index or storage.device not in devices:
            raise damaged("storages", "have other numbers than their positions, or unknown devices")
        if storage.memory > index:
            raise damaged(f"storages[{index}].memory", "points behind itself")
        columns.nbytes.append(storage.nbytes)
        columns.devices.append(devices[storage.device])
        memories.append(storage.memory)
        if storage.start:
            starts[index] = storage.start
    shared = {memory for index, memory in enumerate(memories) if memory != index}
    for index, memory in enumerate(memories):
        if memory in shared:
            columns.memories[index] = memory, starts.pop(index, 0)
    for index in starts:
        raise damaged(f"storages[{index}].memory", "points behind itself")
    return columns
