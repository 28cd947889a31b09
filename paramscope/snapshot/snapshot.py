"""The snapshot: the columns, with records by path over them."""

from __future__ import annotations

from collections.abc import Mapping

from paramscope.snapshot.data import SnapshotData
from paramscope.snapshot.oddities import ClassRecord, DeclaredTie
from paramscope.snapshot.ties import resolved
from paramscope.snapshot.views import ModuleRecords, SlotRecords


class Snapshot(SnapshotData):
    """Everything that was seen in one model (or several roots), as plain values that do not change.

    Snapshots pickle, compare equal when taken twice, and load without torch. `slots` and `modules` are
    mappings from path to record. The columns are for code of this package that must be fast.
    """

    __slots__ = ()

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
        return self.once("classes", lambda: {each.type: each for each in reversed(self.interned.classes)})

    @property
    def declared_ties(self) -> tuple[DeclaredTie, ...]:
        """The ties that the model says it has, with the slots that these names stand for."""
        return self.once("ties", lambda: resolved(self, self.declarations))
