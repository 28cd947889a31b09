"""What a snapshot holds: columns, and what follows from one of their entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import Any, ClassVar, NoReturn, TypeVar

from paramscope.snapshot.columns import (
    HAS_GRAD,
    IS_LEAF,
    REQUIRES_GRAD,
    TRANSIENT_BUFFER,
    Interned,
    ModuleColumns,
    SlotColumns,
    StorageColumns,
    TensorColumns,
)
from paramscope.snapshot.declared import declared_shapes
from paramscope.snapshot.fates import Fates, fates_of, is_registered, is_steppable, status_of
from paramscope.snapshot.memory import Memory
from paramscope.snapshot.oddities import DeclaredTie, Note, Oddity, TpStyle, ValueRecord
from paramscope.snapshot.ranks import Checksums, Ranks
from paramscope.snapshot.records import (
    AliasRecord,
    Membership,
    OptimizerRecord,
    SharingRecord,
    Status,
    StorageRecord,
    TensorRecord,
)
from paramscope.snapshot.run import ModuleRun, Run, TensorRun
from paramscope.snapshot.tree import Tree

T = TypeVar("T")
Same = TypeVar("Same", bound="SnapshotData")


class SnapshotData:
    """The columns, and the facts that are told from them by position."""

    __slots__ = (
        "_derived",
        "aliases",
        "checksums",
        "declarations",
        "interned",
        "module_columns",
        "notes",
        "oddities",
        "optimizers",
        "rank",
        "ranks",
        "roots",
        "run",
        "sharing",
        "slot_columns",
        "storage_columns",
        "tensor_columns",
        "torch_version",
        "tp_plan",
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
    oddities: tuple[Oddity, ...]
    declarations: tuple[DeclaredTie, ...]
    """`declared_ties` by their names alone, as they are kept."""
    tp_plan: tuple[TpStyle, ...]
    """How its models of transformers are cut for tensor parallelism, as they say themselves."""
    notes: tuple[Note, ...]
    values: tuple[ValueRecord, ...] | None
    """What is odd about the values of registered tensors; None where they were not looked at."""
    rank: int | None
    """Which rank of a job saw it; None where there was no process group."""
    checksums: tuple[Checksums, ...] | None
    """Of a rank's tensors that should agree with those of others, or should not; None where they were not taken."""
    run: Run | None
    """What was run, and what it showed; None where nothing was."""
    ranks: Ranks | None
    """What the ranks of the job hold; None where no others were asked."""
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
        oddities: tuple[Oddity, ...] = (),
        declarations: tuple[DeclaredTie, ...] = (),
        tp_plan: tuple[TpStyle, ...] = (),
        notes: tuple[Note, ...] = (),
        values: tuple[ValueRecord, ...] | None = None,
        rank: int | None = None,
        checksums: tuple[Checksums, ...] | None = None,
        run: Run | None = None,
        ranks: Ranks | None = None,
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
        fill(self, "oddities", oddities)
        fill(self, "declarations", declarations)
        fill(self, "tp_plan", tp_plan)
        fill(self, "notes", notes)
        fill(self, "values", values)
        fill(self, "rank", rank)
        fill(self, "checksums", checksums)
        fill(self, "run", run)
        fill(self, "ranks", ranks)
        fill(self, "_derived", {})

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Snapshot does not change: {name!r} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Snapshot does not change: {name!r} cannot be deleted")

    def _facts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in sorted(SnapshotData.__slots__) if not name.startswith("_")}

    def _compared(self) -> dict[str, Any]:
        """Its facts, less how long a run took, which is none of the model."""
        facts = self._facts()
        return {**facts, "run": self.run._replace(seconds=0.0)} if self.run else facts

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self._facts())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SnapshotData):
            return NotImplemented
        return self._compared() == other._compared()

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # as large as the model: nobody means to hash it

    def __repr__(self) -> str:
        return f"<Snapshot of {len(self.module_columns.paths)} modules, {len(self.slot_columns.names)} slots>"

    def with_run(self: Same, run: Run) -> Same:
        """The same snapshot, with what a run of the model showed."""
        return type(self)(**{**self._facts(), "run": run})

    def with_ranks(self: Same, ranks: Ranks) -> Same:
        """The same snapshot, with what all ranks of a job hold."""
        return type(self)(**{**self._facts(), "ranks": ranks})

    def run_of_tensor(self, tensor: int) -> TensorRun | None:
        """What the run showed of one tensor, by its number; None where nothing was run."""
        run = self.run
        if run is None:
            return None
        return self.once("run of tensors", lambda: {each.tensor: each for each in run.tensors}).get(tensor)

    def run_of_module(self, module: int) -> ModuleRun | None:
        """What the run showed of one module, by its position; None where it was not called."""
        run = self.run
        if run is None:
            return None
        path = self.module_columns.paths[self.module_columns.repeats.get(module, module)]
        return self.once("run of modules", lambda: {each.module: each for each in run.modules}).get(path)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What follows from the columns, made the first time that it is asked for; no fact of its own."""
        if key not in self._derived:
            self._derived[key] = make()
        made: T = self._derived[key]
        return made

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
        columns, memory = self.storage_columns, self.memory
        saved = self.once("saved", lambda: memory.reached(self._saved_tensors()))
        device = self.interned.devices[columns.devices[index]]
        return StorageRecord(
            index, device, columns.nbytes[index], memory.of(index), memory.start(index), saved.get(index)
        )

    def _saved_tensors(self) -> set[int]:
        """Those in registered, persistent slots: what a checkpoint is meant to hold."""
        columns = self.slot_columns
        return {
            tensor
            for slot, tensor in enumerate(columns.tensors)
            if tensor >= 0 and columns.holds[slot] != TRANSIENT_BUFFER and self.is_registered(slot)
        }

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

    @property
    def tree(self) -> Tree:
        """How its modules lie below one another."""
        return self.once("tree", lambda: Tree(self.module_columns.paths, self.roots, self.slot_columns.modules))

    @property
    def memory(self) -> Memory:
        """Which bytes of which memory its tensors reach."""
        columns = self.tensor_columns, self.storage_columns
        return self.once("memory", lambda: Memory(*columns, self.interned.specs))

    def is_registered(self, slot: int) -> bool:
        """Whether the root sees a slot, by its position."""
        columns = self.slot_columns
        return is_registered(columns.holds[slot], self.module_columns.flags[columns.modules[slot]])

    def status(self, slot: int) -> Status:
        """The one word for what a slot is, by its position."""
        slots, tensors = self.slot_columns, self.tensor_columns
        module_flags, tensor = self.module_columns.flags[slots.modules[slot]], slots.tensors[slot]
        if tensor < 0:
            return "empty"
        spec = self.interned.specs[tensors.specs[tensor]]
        return status_of(slots.holds[slot], module_flags, tensors.flags[tensor], spec)

    @property
    def frozen_in_groups(self) -> Mapping[Membership, int]:
        """Elements that a param group holds and no step changes, a part of `GroupRecord.numel`; groups that hold none
        are left out."""
        return self.once("frozen in groups", self._count_frozen_in_groups)

    def _count_frozen_in_groups(self) -> Counter[Membership]:
        columns, interned = self.tensor_columns, self.interned
        found: Counter[Membership] = Counter()
        for spec, flags, membership in zip(columns.specs, columns.flags, columns.memberships, strict=True):
            if interned.memberships[membership] and not is_steppable(flags):
                for place in interned.memberships[membership]:
                    found[place] += interned.specs[spec].numel or 0
        return found

    def fates(self, slot: int) -> tuple[Fates, tuple[tuple[str, str], ...]]:
        """The fates of a slot that is not empty, by its position, and why those that are None are."""
        slots, tensors, modules = self.slot_columns, self.tensor_columns, self.module_columns
        module, tensor = slots.modules[slot], slots.tensors[slot]
        groups = self.interned.memberships[tensors.memberships[tensor]]
        return fates_of(
            slots.holds[slot],
            modules.flags[module],
            tensors.flags[tensor],
            self.interned.specs[tensors.specs[tensor]],
            modules.unknown.get(module, ()),
            is_in_group=bool(groups) if self.optimizers else None,
        )


def _restore(cls: type[SnapshotData], facts: dict[str, Any]) -> SnapshotData:
    return cls(**facts)
