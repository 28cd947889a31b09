"""What was seen in a model: plain records over compact columns, without torch.

A snapshot of 100,000 slots must cost little more than walking the model. So the facts lie in columns
(arrays of small integers that index interned values, which the garbage collector need not visit), and the
records that everybody reads are built when they are asked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from typing import Any, Generic, Literal, NamedTuple, NoReturn, TypeVar

Role = Literal["parameter", "buffer", "attribute"]
Status = Literal["trainable", "frozen", "hidden", "buffer", "attribute", "empty", "unknown"]
SharingKind = Literal["tied", "aliased", "overlapping", "co-located"]
Fate = Literal["gradient", "stepped", "saved", "moved"]
FATES: tuple[Fate, ...] = ("gradient", "stepped", "saved", "moved")

# How a slot's owner holds it; the column stores the index.
HOLDS: tuple[tuple[Role, bool | None], ...] = (
    ("parameter", None),
    ("buffer", True),
    ("buffer", False),
    ("attribute", None),
)
PARAMETER, BUFFER, TRANSIENT_BUFFER, ATTRIBUTE = range(4)

# Bits of `TensorColumns.flags`.
REQUIRES_GRAD, IS_LEAF, HAS_GRAD, IS_PARAMETER = 1, 2, 4, 8
# Bits of `ModuleColumns.flags`.
REGISTERED, TRAINING = 1, 2

NO_OPTIMIZER = "no optimizer was given"


class TensorSpec(NamedTuple):
    """What many tensors have in common; interned, one for each distinct combination."""

    type: str
    """Qualified class name, such as `torch.nn.parameter.Parameter`."""
    shape: tuple[int, ...] | None
    """Sizes, in elements; None while a lazy parameter does not know them."""
    stride: tuple[int, ...] | None
    """Elements to step in memory for one step along each dimension; None where there are no strides."""
    dtype: str | None
    """torch's own name without its prefix: `float32`. None where the slot holds no tensor."""
    device: str | None
    """`cpu`, `cuda:0`, `meta`, …"""
    layout: str | None
    """`strided`, `sparse_coo`, …"""
    numel: int | None
    """Number of elements; None where it is not known before the first forward (lazy)."""
    nbytes: int | None
    """Bytes that the elements take side by side; None where that cannot be told (lazy, sparse)."""

    @property
    def is_differentiable(self) -> bool:
        """Whether torch can carry a gradient in this dtype: floating and complex ones."""
        return self.dtype is not None and ("float" in self.dtype or "complex" in self.dtype)


class Membership(NamedTuple):
    """One place in an optimizer that a tensor stands in."""

    optimizer: str
    """Name of the optimizer: its key in a dict of optimizers, else its position."""
    group: int
    """Index into the optimizer's `param_groups`."""


class ModuleRecord(NamedTuple):
    """One module under one path."""

    path: str
    """Name in `named_modules(remove_duplicate=False)`; the root is the empty string."""
    type: str
    """Qualified class name."""
    registered: bool
    """Whether the root sees it."""
    training: bool
    """The module's own `training` flag."""
    object: int
    """Position of the module's first path: the same number for the same module under several paths."""
    settings: tuple[tuple[str, int | float | bool | None], ...]
    """What a torch.nn layer says of itself and views need, such as an Embedding's `padding_idx`."""
    unknown: tuple[tuple[str, str], ...]
    """Why the fate of what it holds cannot be told: pairs of (`saved`, `attributes_saved` or
    `attributes_moved`, reason)."""


class SlotRecord(NamedTuple):
    """One named place that holds a tensor, with the four fates."""

    path: str
    """Name in `named_parameters(remove_duplicate=False)` or `named_buffers(…)`, where it is registered."""
    module: str
    """Path of the module that owns the slot."""
    name: str
    """The rest of the path, as the owner knows it."""
    role: Role
    """How its owner holds it."""
    registered: bool
    """Whether the root sees it."""
    persistent: bool | None
    """For buffers: whether `state_dict()` is meant to hold it."""
    type: str | None
    """Qualified class name of what it holds; None for an empty slot."""
    shape: tuple[int, ...] | None
    """Sizes, in elements; None when unknown (lazy) and for an empty slot."""
    stride: tuple[int, ...] | None
    """In elements; None where there are no strides."""
    offset: int | None
    """Where its first element lies in the storage, in elements."""
    dtype: str | None
    device: str | None
    layout: str | None
    numel: int | None
    """Number of elements; 0 for an empty slot, None when unknown."""
    nbytes: int | None
    """Bytes its elements take side by side."""
    requires_grad: bool | None
    is_leaf: bool | None
    has_grad: bool | None
    """Whether a `.grad` lies on it: a stale one is stepped even when it is frozen."""
    is_parameter: bool | None
    """Whether its class is `nn.Parameter` or made from it."""
    status: Status
    gradient: bool | None
    """Entitled to a gradient: a leaf, floating or complex, that requires grad."""
    stepped: bool | None
    """In a param group and either requires grad or holds a `.grad`; None without an optimizer."""
    saved: bool | None
    """Part of `state_dict()`; None, with the reason in `unknown`, where user code decides."""
    moved: bool | None
    """Moved by `.to()`; None, with the reason in `unknown`, where user code decides."""
    tensor: int | None
    """Which tensor it holds: equal numbers are a tie. None for an empty slot."""
    storage: int | None
    """Which storage that tensor views; None where it has none."""
    groups: tuple[Membership, ...]
    """Where the optimizers hold it."""
    unknown: tuple[tuple[str, str], ...]
    """Pairs of (fate, reason) for the fates that are None."""

    @property
    def trainable(self) -> bool:
        """A registered parameter that requires grad."""
        return self.status == "trainable"

    @property
    def frozen(self) -> bool:
        """A registered parameter that does not require grad."""
        return self.status == "frozen"

    @property
    def lazy(self) -> bool:
        """A parameter or buffer whose shape is not known before the first forward."""
        return self.shape is None and self.dtype is not None


EMPTY_SLOT = SlotRecord(
    path="",
    module="",
    name="",
    role="parameter",
    registered=True,
    persistent=None,
    type=None,
    shape=None,
    stride=None,
    offset=None,
    dtype=None,
    device=None,
    layout=None,
    numel=0,
    nbytes=0,
    requires_grad=None,
    is_leaf=None,
    has_grad=None,
    is_parameter=None,
    status="empty",
    gradient=None,
    stepped=None,
    saved=None,
    moved=None,
    tensor=None,
    storage=None,
    groups=(),
    unknown=(),
)
"""A known nothing, such as the bias of `Linear(3, 4, bias=False)`."""


class TensorRecord(NamedTuple):
    """One tensor object, whatever number of slots it stands in."""

    number: int
    spec: TensorSpec
    storage: int | None
    offset: int | None
    requires_grad: bool
    is_leaf: bool
    has_grad: bool
    groups: tuple[Membership, ...]


class StorageRecord(NamedTuple):
    """The bytes that one or more tensors view."""

    number: int
    device: str
    nbytes: int
    """All bytes of it, viewed or not."""


class SharingRecord(NamedTuple):
    """One fact about slots that meet in memory."""

    kind: SharingKind
    slots: tuple[str, ...]
    """Paths in the snapshot's order."""
    storage: int | None
    nbytes: int
    """The bytes they share."""


class AliasRecord(NamedTuple):
    """A second way to reach something that was entered under another path; nothing is hidden by it."""

    path: str
    of: str
    """Path under which it was entered: the registered one, where there is one."""


class ForeignRecord(NamedTuple):
    """A tensor that an optimizer holds and the model does not have."""

    position: int
    """Its index in the group's `params`."""
    name: str | None
    """From the group's `param_names`, where it has them."""
    shape: tuple[int, ...] | None
    dtype: str | None
    device: str | None
    numel: int | None
    requires_grad: bool
    replaced_by: str | None
    """Path of the slot that looks like what took its place."""
    evidence: str | None
    """How that was told: `name`, `position` or `shape`."""


class GroupRecord(NamedTuple):
    """One param group of an optimizer."""

    index: int  # type: ignore[assignment]  # shadows tuple.index, as torch's own word does
    options: tuple[tuple[str, Any], ...]
    """Hyperparameters as plain values, in the group's own order."""
    slots: tuple[str, ...]
    """Members that the model has, each by its first path, in the group's order."""
    foreign: tuple[ForeignRecord, ...]
    """Members that the model does not have."""
    numel: int
    """Elements of all members of known size."""
    state_nbytes: int
    """Bytes of optimizer state held for the members."""


class OptimizerRecord(NamedTuple):
    """One optimizer: what it will step."""

    name: str
    type: str
    groups: tuple[GroupRecord, ...]


NoteKind = Literal["cycle", "repeats", "depth", "items", "uninitialised", "overlap"]


class Note(NamedTuple):
    """Something that capture did not look into, and why."""

    path: str
    kind: NoteKind
    """`cycle`; the bound that was met: `repeats` of shared modules, `depth` or `items` of containers; or
    `uninitialised` for a module whose `__init__` did not call that of `nn.Module`; `overlap` for views whose
    sharing was not decided."""
    text: str


class ModuleColumns(NamedTuple):
    """One entry a module path."""

    paths: list[str]
    types: array[int]
    flags: bytearray
    repeats: dict[int, int]
    """Of a module that was met before, the position of its first path; absent for all others."""
    settings: dict[int, tuple[tuple[str, int | float | bool | None], ...]]
    """By position, for the layers that have any."""
    unknown: dict[int, tuple[tuple[str, str], ...]]
    """By position, for the modules that have any."""


class SlotColumns(NamedTuple):
    """One entry a slot."""

    modules: array[int]
    names: list[str]
    holds: bytearray
    tensors: array[int]


class TensorColumns(NamedTuple):
    """One entry a tensor."""

    specs: array[int]
    storages: array[int]
    offsets: array[int]
    flags: bytearray
    memberships: array[int]


class StorageColumns(NamedTuple):
    """One entry a storage."""

    nbytes: array[int]
    devices: array[int]


class Interned(NamedTuple):
    """The values that columns point into."""

    types: tuple[str, ...]
    devices: tuple[str, ...]
    specs: tuple[TensorSpec, ...]
    memberships: tuple[tuple[Membership, ...], ...]


R = TypeVar("R")


class Records(Mapping[str, R], Generic[R]):
    """Records by path, in the snapshot's order; each is built when it is asked for."""

    __slots__ = ("_snapshot",)

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def path_at(self, index: int) -> str:
        """The path of one record, without building the record."""
        raise NotImplementedError

    def at(self, index: int) -> R:
        """One record by its position."""
        raise NotImplementedError

    def position(self, path: str) -> int:
        """The position of a path. Raises KeyError."""
        indices = self._snapshot._indices
        index = indices.get(type(self))
        if index is None:
            # NOTE: of two equal paths the first wins.
            index = indices[type(self)] = {self.path_at(i): i for i in range(len(self) - 1, -1, -1)}
        return index[path]

    def __getitem__(self, path: str) -> R:
        return self.at(self.position(path))

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
        return ModuleRecord(
            columns.paths[index],
            interned.types[columns.types[index]],
            bool(flags & REGISTERED),
            bool(flags & TRAINING),
            columns.repeats.get(index, index),
            columns.settings.get(index, ()),
            columns.unknown.get(index, ()),
        )


def join(module: str, name: str) -> str:
    """The path of something that a module holds: a dot before a name, nothing before another step."""
    if not module or name.startswith(("->", "::")):
        return module + name
    return f"{module}.{name}"


class SlotRecords(Records[SlotRecord]):
    """Slots by path."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._snapshot.slot_columns.names)

    def path_at(self, index: int) -> str:
        slots = self._snapshot.slot_columns
        return join(self._snapshot.module_columns.paths[slots.modules[index]], slots.names[index])

    def at(self, index: int) -> SlotRecord:
        snapshot = self._snapshot
        slots = snapshot.slot_columns
        module = snapshot.module_columns.paths[slots.modules[index]]
        name = slots.names[index]
        path = join(module, name)
        role, persistent = HOLDS[slots.holds[index]]
        registered = snapshot.is_registered(index)
        tensor = slots.tensors[index]
        if tensor < 0:
            return EMPTY_SLOT._replace(
                path=path, module=module, name=name, role=role, registered=registered, persistent=persistent
            )
        tensors = snapshot.tensor_columns
        spec = snapshot.interned.specs[tensors.specs[tensor]]
        flags = tensors.flags[tensor]
        storage = tensors.storages[tensor]
        fates, unknown = snapshot.fates(index)
        return SlotRecord(
            path,
            module,
            name,
            role,
            registered,
            persistent,
            spec.type,
            spec.shape,
            spec.stride,
            None if storage < 0 else tensors.offsets[tensor],
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
            tensor,
            None if storage < 0 else storage,
            snapshot.interned.memberships[tensors.memberships[tensor]],
            unknown,
        )


class Snapshot:
    """Everything that was seen in one model (or several roots), as plain values that do not change.

    Snapshots pickle, compare equal when taken twice, and load without torch. `slots` and `modules` are
    mappings from path to record. The columns are for code of this package that must be fast.
    """

    __slots__ = (
        "_indices",
        "aliases",
        "interned",
        "module_columns",
        "notes",
        "optimizers",
        "roots",
        "sharing",
        "slot_columns",
        "storage_columns",
        "tensor_columns",
        "torch_version",
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
    notes: tuple[Note, ...]
    _indices: dict[type, dict[str, int]]
    """Positions by path, made when first asked for; no fact of its own."""

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
        notes: tuple[Note, ...] = (),
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
        fill(self, "notes", notes)
        fill(self, "_indices", {})

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
        return StorageRecord(index, self.interned.devices[columns.devices[index]], columns.nbytes[index])

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
            if fate == "saved" or (fate == "attributes_saved" and not registered):
                saved = None
                unknown.append(("saved", reason))
            elif fate == "attributes_moved" and not registered:
                moved = None
                unknown.append(("moved", reason))
        return (gradient, stepped, saved, moved), tuple(unknown)


def _restore(facts: dict[str, Any]) -> Snapshot:
    return Snapshot(**facts)
