"""The snapshot: columns, and the facts that are told from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from paramscope.snapshot.columns import (
    ATTRIBUTE,
    HAS_GRAD,
    IS_LEAF,
    IS_PARAMETER,
    PARAMETER,
    REGISTERED,
    REQUIRES_GRAD,
    TRANSIENT_BUFFER,
    Interned,
    ModuleColumns,
    SlotColumns,
    StorageColumns,
    TensorColumns,
)
from paramscope.snapshot.declared import declared_shapes
from paramscope.snapshot.facts import ClassRecord, DeclaredTie, Mark, Note, ValueRecord
from paramscope.snapshot.records import (
    NO_OPTIMIZER,
    AliasRecord,
    OptimizerRecord,
    SharingRecord,
    Status,
    StorageRecord,
    TensorRecord,
)
from paramscope.snapshot.saving import saved_bytes
from paramscope.snapshot.ties import resolved
from paramscope.snapshot.views import ModuleRecords, SlotRecords


class Snapshot:
    """Everything that was seen in one model (or several roots), as plain values that do not change.

    Snapshots pickle, compare equal when taken twice, and load without torch. `slots` and `modules` are
    mappings from path to record. The columns are for code of this package that must be fast.
    """

    __slots__ = (
        "_derived",
        "aliases",
        "declarations",
        "interned",
        "marks",
        "module_columns",
        "notes",
        "optimizers",
        "roots",
        "sharing",
        "slot_columns",
        "storage_columns",
        "tensor_columns",
        "torch_version",
        "values",
    )

    roots: tuple[str, ...]
    """Path of each root: `("",)` for one model, the names given for several."""
    torch_version: str
    """The torch that the model was seen with."""
    module_columns: ModuleColumns
    slot_columns: SlotColumns
    tensor_columns: TensorColumns
    storage_columns: StorageColumns
    interned: Interned
    sharing: tuple[SharingRecord, ...]
    aliases: tuple[AliasRecord, ...]
    optimizers: tuple[OptimizerRecord, ...]
    marks: tuple[Mark, ...]
    declarations: tuple[DeclaredTie, ...]
    """`declared_ties` by their names alone, as they are kept."""
    notes: tuple[Note, ...]
    values: tuple[ValueRecord, ...] | None
    """What is odd about the values of registered tensors; None where they were not looked at."""
    _derived: dict[Any, Any]
    """What was told from the columns before, such as positions by path; no fact of its own."""

    def __init__(
        self,
        *,
        roots: tuple[str, ...],
        torch_version: str,
        module_columns: ModuleColumns,
        slot_columns: SlotColumns,
        tensor_columns: TensorColumns,
        storage_columns: StorageColumns,
        interned: Interned,
        sharing: tuple[SharingRecord, ...] = (),
        aliases: tuple[AliasRecord, ...] = (),
        optimizers: tuple[OptimizerRecord, ...] = (),
        marks: tuple[Mark, ...] = (),
        declarations: tuple[DeclaredTie, ...] = (),
        notes: tuple[Note, ...] = (),
        values: tuple[ValueRecord, ...] | None = None,
    ) -> None:
        fill = object.__setattr__
        fill(self, "roots", roots)
        fill(self, "torch_version", torch_version)
        fill(self, "module_columns", module_columns)
        fill(self, "slot_columns", slot_columns)
        fill(self, "tensor_columns", tensor_columns)
        fill(self, "storage_columns", storage_columns)
        fill(self, "interned", interned)
        fill(self, "sharing", sharing)
        fill(self, "aliases", aliases)
        fill(self, "optimizers", optimizers)
        fill(self, "marks", marks)
        fill(self, "declarations", declarations)
        fill(self, "notes", notes)
        fill(self, "values", values)
        fill(self, "_derived", {})

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Snapshot does not change: {name!r} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Snapshot does not change: {name!r} cannot be deleted")

    def _facts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in sorted(self.__slots__) if not name.startswith("_")}

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._facts(),)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Snapshot):
            return NotImplemented
        return self._facts() == other._facts()

    __hash__ = None  # type: ignore[assignment]  # as large as the model: nobody means to hash it

    def __repr__(self) -> str:
        return f"<Snapshot of {len(self.modules)} modules, {len(self.slots)} slots>"

    @property
    def modules(self) -> ModuleRecords:
        """Modules by path, in `named_modules` order, hidden ones last."""
        return ModuleRecords(self)

    @property
    def slots(self) -> SlotRecords:
        """Slots by path, module by module: parameters, buffers, then attributes."""
        return SlotRecords(self)

    @property
    def classes(self) -> Mapping[str, ClassRecord]:
        """The classes of all modules and what they inherit from, by qualified name."""
        known: Mapping[str, ClassRecord] = self._derived.get("classes") or {}
        if not known:
            known = self._derived["classes"] = {each.type: each for each in reversed(self.interned.classes)}
        return known

    @property
    def declared_ties(self) -> tuple[DeclaredTie, ...]:
        """The ties that the model says it has, with the slots that these names stand for."""
        known: tuple[DeclaredTie, ...] | None = self._derived.get("ties")
        if known is None:
            known = self._derived["ties"] = resolved(self, self.declarations)
        return known

    @property
    def is_truncated(self) -> bool:
        """Whether a shared module has more paths than are listed."""
        return any(note.kind == "repeats" for note in self.notes)

    def tensor(self, index: int) -> TensorRecord:
        """One tensor by its number."""
        columns = self.tensor_columns
        flags, storage = columns.flags[index], columns.storages[index]
        return TensorRecord(
            index,
            self.interned.specs[columns.specs[index]],
            None if storage < 0 else storage,
            None if storage < 0 else columns.offsets[index],
            bool(flags & REQUIRES_GRAD),
            bool(flags & IS_LEAF),
            bool(flags & HAS_GRAD),
            self.interned.memberships[columns.memberships[index]],
        )

    def storage(self, index: int) -> StorageRecord:
        """One storage by its number."""
        columns = self.storage_columns
        memory, start = columns.memories.get(index, (index, 0))
        saved = self._derived.get("saved")
        if saved is None:
            saved = self._derived["saved"] = saved_bytes(self)
        device = self.interned.devices[columns.devices[index]]
        return StorageRecord(index, device, columns.nbytes[index], memory, start, saved.get(index))

    def declared_shape(self, module: int, name: str) -> tuple[int, ...] | None:
        """The shape that a torch.nn layer's settings give to what it holds under a name.

        module: position of the module.
        """
        columns = self.module_columns
        setting = columns.settings[module]
        if not setting:
            return None
        known: dict[int, dict[str, tuple[int, ...]]] = self._derived.setdefault("declared", {})
        shapes = known.get(setting)
        if shapes is None:
            shapes = known[setting] = declared_shapes(dict(self.interned.settings[setting]))
        return shapes.get(name)

    def is_registered(self, slot: int) -> bool:
        """Whether the root sees a slot: its module is registered and holds it as parameter or buffer."""
        columns = self.slot_columns
        flags = self.module_columns.flags[columns.modules[slot]]
        return columns.holds[slot] != ATTRIBUTE and bool(flags & REGISTERED)

    def status(self, slot: int) -> Status:
        """The one word for what a slot is."""
        tensor = self.slot_columns.tensors[slot]
        if tensor < 0:
            return "empty"
        spec = self.interned.specs[self.tensor_columns.specs[tensor]]
        if spec.dtype is None:
            return "unknown"
        flags = self.tensor_columns.flags[tensor]
        hold = self.slot_columns.holds[slot]
        if self.is_registered(slot):
            if hold == PARAMETER:
                return "trainable" if flags & REQUIRES_GRAD else "frozen"
            return "buffer"
        # A tensor computed from others (a non-leaf) is no place where anything is learned.
        learns = REQUIRES_GRAD | IS_LEAF
        if hold == PARAMETER or flags & IS_PARAMETER or flags & learns == learns:
            return "hidden"
        return "attribute" if hold == ATTRIBUTE else "buffer"

    def fates(
        self, slot: int
    ) -> tuple[tuple[bool | None, bool | None, bool | None, bool | None], tuple[tuple[str, str], ...]]:
        """(gradient, stepped, saved, moved) of a slot that is not empty, and why those that are None are."""
        tensor = self.slot_columns.tensors[slot]
        flags = self.tensor_columns.flags[tensor]
        spec = self.interned.specs[self.tensor_columns.specs[tensor]]
        unknown: list[tuple[str, str]] = []
        learns = REQUIRES_GRAD | IS_LEAF
        gradient = flags & learns == learns and spec.is_differentiable
        stepped: bool | None = None
        if self.optimizers:
            in_group = bool(self.interned.memberships[self.tensor_columns.memberships[tensor]])
            stepped = in_group and bool(flags & (REQUIRES_GRAD | HAS_GRAD))
        else:
            unknown.append(("stepped", NO_OPTIMIZER))
        module = self.slot_columns.modules[slot]
        reasons = self.module_columns.unknown.get(module, ())
        hold = self.slot_columns.holds[slot]
        registered = self.is_registered(slot)
        saved: bool | None = registered and hold != TRANSIENT_BUFFER
        moved: bool | None = registered
        for fate, reason in reasons:
            # One reason for each: the first is enough.
            if (fate == "saved" or (fate == "attributes_saved" and not registered)) and saved is not None:
                saved = None
                unknown.append(("saved", reason))
            elif fate == "attributes_moved" and not registered and moved is not None:
                moved = None
                unknown.append(("moved", reason))
        return (gradient, stepped, saved, moved), tuple(unknown)


def _restore(facts: dict[str, Any]) -> Snapshot:
    return Snapshot(**facts)
