"""Records by path, each built from the columns when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from paramscope.errors import PathError, nearest
from paramscope.snapshot.columns import (
    HAS_GRAD,
    HOLDS,
    IS_LEAF,
    IS_PARAMETER,
    REGISTERED,
    REQUIRES_GRAD,
    TRAINING,
)
from paramscope.snapshot.data import SnapshotData
from paramscope.snapshot.path import slot_path
from paramscope.snapshot.records import EMPTY_SLOT, ModuleRecord, SlotRecord

R = TypeVar("R")

_NOT_RUN = (None,) * 6
"""Of a slot where nothing was run."""


class Records(Mapping[str, R], Generic[R]):
    """Records by path, in the snapshot's order; each is built when it is asked for."""

    __slots__ = ("_snapshot",)

    def __init__(self, snapshot: SnapshotData) -> None:
        self._snapshot = snapshot

    def path_at(self, index: int) -> str:
        """The path of one record, without building the record."""
        raise NotImplementedError

    def at(self, index: int) -> R:
        """One record by its position."""
        raise NotImplementedError

    def position(self, path: str) -> int:
        """The position of a path. Raises KeyError."""
        return self._index()[path]

    def positions(self, paths: Iterable[str]) -> list[int]:
        """The positions of several paths. Raises KeyError."""
        return list(map(self._index().__getitem__, paths))

    def _index(self) -> dict[str, int]:
        derived = self._snapshot._derived
        index: dict[str, int] | None = derived.get(type(self))
        if index is None:
            # NOTE: of two equal paths the first wins.
            index = derived[type(self)] = {self.path_at(i): i for i in range(len(self) - 1, -1, -1)}
        return index

    def __getitem__(self, path: str) -> R:
        try:
            return self.at(self.position(path))
        except KeyError:
            near = nearest(path, self, n=3) if isinstance(path, str) else []
            advice = f"Near it: {', '.join(near)}." if near else "Paths are written as they are shown."
            raise PathError(f"there is nothing at {path!r}", advice) from None

    def get(self, path: str, default: Any = None) -> R | Any:
        """The record at a path, or else the default."""
        # NOTE: not by way of `self[path]`, as a Mapping does: what is nearest to a path takes long to find.
        try:
            return self.at(self.position(path))
        except KeyError:
            return default

    def __contains__(self, path: object) -> bool:
        try:
            self.position(path)  # type: ignore[arg-type]
        except (KeyError, TypeError):  # what cannot be hashed is no path
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return map(self.path_at, range(len(self)))

    def records(self) -> Iterator[R]:
        """Every record, in order."""
        return map(self.at, range(len(self)))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} paths>"


class ModuleRecords(Records[ModuleRecord]):
    """Modules by path."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._snapshot.module_columns.paths)

    def path_at(self, index: int) -> str:
        return self._snapshot.module_columns.paths[index]

    def at(self, index: int) -> ModuleRecord:
        columns, interned = self._snapshot.module_columns, self._snapshot.interned
        flags = columns.flags[index]
        ran = self._snapshot.run_of_module(index)
        return ModuleRecord(
            columns.paths[index],
            interned.types[columns.types[index]],
            bool(flags & REGISTERED),
            bool(flags & TRAINING),
            columns.repeats.get(index, index),
            interned.settings[columns.settings[index]],
            columns.unknown.get(index, ()),
            *(ran[1:] if ran else (0, None, 0, 0) if self._snapshot.run else (None,) * 4),
        )


class SlotRecords(Records[SlotRecord]):
    """Slots by path."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._snapshot.slot_columns.names)

    def path_at(self, index: int) -> str:
        slots = self._snapshot.slot_columns
        module = self._snapshot.module_columns.paths[slots.modules[index]]
        return slot_path(module, slots.names[index], slots.holds[index])

    def __iter__(self) -> Iterator[str]:
        slots, paths = self._snapshot.slot_columns, self._snapshot.module_columns.paths
        return map(slot_path, map(paths.__getitem__, slots.modules), slots.names, slots.holds)

    def at(self, index: int) -> SlotRecord:
        snapshot = self._snapshot
        slots, modules, tensors = snapshot.slot_columns, snapshot.module_columns, snapshot.tensor_columns
        owner, name, hold, tensor = slots.modules[index], slots.names[index], slots.holds[index], slots.tensors[index]
        module = modules.paths[owner]
        path = slot_path(module, name, hold)
        # All but what is told apart here is the same for thousands, and worked out once.
        known: dict[Any, tuple[Any, ...]] = snapshot._derived.setdefault("slots alike", {})
        if tensor < 0:
            key: Any = hold, modules.flags[owner]
            common = known.get(key) or known.setdefault(key, self._common_of_empty(index))
            return SlotRecord._make((path, module, name, *common))
        key = (
            tensors.specs[tensor],
            tensors.flags[tensor],
            tensors.memberships[tensor],
            hold,
            modules.flags[owner],
            modules.unknown.get(owner),
        )
        what, how, groups, unknown, placements = known.get(key) or known.setdefault(key, self._common(index, tensor))
        storage = tensors.storages[tensor]
        return SlotRecord._make(
            (
                path,
                module,
                name,
                *what,
                None if storage < 0 else tensors.offsets[tensor],
                *how,
                tensor,
                None if storage < 0 else storage,
                groups,
                snapshot.declared_shape(owner, name) if what[4] is not None else None,
                tensors.parts.get(tensor, ()),
                unknown,
                placements,
                *(ran[1:] if (ran := snapshot.run_of_tensor(tensor)) else _NOT_RUN),
            )
        )

    def _common_of_empty(self, index: int) -> tuple[Any, ...]:
        """What an empty slot has in common with others: all but its names."""
        role, persistent = HOLDS[self._snapshot.slot_columns.holds[index]]
        registered = self._snapshot.is_registered(index)
        return EMPTY_SLOT._replace(role=role, registered=registered, persistent=persistent)[3:]

    def _common(self, index: int, tensor: int) -> tuple[Any, ...]:
        """What a slot has in common with others: (role to stride, dtype to moved, groups, unknown, placements)."""
        snapshot, tensors = self._snapshot, self._snapshot.tensor_columns
        spec = snapshot.interned.specs[tensors.specs[tensor]]
        flags = tensors.flags[tensor]
        role, persistent = HOLDS[snapshot.slot_columns.holds[index]]
        fates, unknown = snapshot.fates(index)
        return (
            (role, snapshot.is_registered(index), persistent, spec.type, spec.shape, spec.stride),
            (
                spec.dtype,
                spec.device,
                spec.layout,
                spec.numel,
                spec.nbytes,
                bool(flags & REQUIRES_GRAD),
                bool(flags & IS_LEAF),
                bool(flags & HAS_GRAD),
                bool(flags & IS_PARAMETER),
                snapshot.status(index),
                *fates,
            ),
            snapshot.interned.memberships[tensors.memberships[tensor]],
            unknown,
            spec.placements,
        )
