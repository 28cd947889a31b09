"""The records that everybody reads: plain values, a docstring under each field, units where there are any."""

# NOTE: annotations are evaluated here: typing would compile the text of each, in ten times the time.
from typing import Any, Literal, NamedTuple

from paramscope.snapshot.run import Gradient, Phase

Role = Literal["parameter", "buffer", "attribute"]
Status = Literal["trainable", "frozen", "hidden", "buffer", "attribute", "empty", "unknown"]
SharingKind = Literal["tied", "aliased", "overlapping", "co-located", "self-overlapping"]
Fate = Literal["gradient", "stepped", "saved", "moved"]
FATES: tuple[Fate, ...] = ("gradient", "stepped", "saved", "moved")

Setting = int | float | bool | str | tuple[int, ...] | None
"""A value that a torch.nn layer was built with."""

NO_OPTIMIZER = "no optimizer was given"


class Placement(NamedTuple):
    """How a DTensor lies along one dimension of its mesh."""

    mesh: str
    """Name of the dimension, or its position where it has none."""
    ranks: int
    """Size of the dimension."""
    kind: Literal["shard", "replicate", "partial"]
    """Each rank has a part, the whole, or what is still to be added up to it."""
    dim: int | None
    """Of a shard, the dimension of the tensor that is cut; None for the others."""


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
    """Number of elements, of a quantized tensor those that it stands for; None where it is not known before the first
    forward (lazy)."""
    nbytes: int | None
    """Bytes that the elements take side by side; None where that cannot be told (lazy, sparse)."""
    placements: tuple[Placement, ...] = ()
    """Of a DTensor, one for each dimension of its mesh; `shape` and `numel` are those of the whole."""

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


HERE = "_local_tensor"
"""What a DTensor calls its shard of this process; so is called what lies here of all that is sharded."""


class Part(NamedTuple):
    """A tensor that another one is made of: the local shard of a DTensor, the indices of a sparse tensor."""

    name: str
    """How the whole holds it: the attribute, or torch's word for the part."""
    spec: TensorSpec
    storage: int | None
    offset: int
    """Where its first element lies in the storage, in elements."""


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
    settings: tuple[tuple[str, Setting], ...]
    """What a torch.nn layer says of itself: `in_features`, `padding_idx`, `momentum`, …"""
    unknown: tuple[tuple[str, str], ...]
    """Why the fate of what it holds cannot be told: pairs of (`saved`, `attributes_saved` or
    `attributes_moved`, reason)."""
    calls: int | None = None
    """How often the run called it. This and what follows: as `ModuleRun` has it; None where nothing was run."""
    output: str | None = None
    """What its first call returned; None also for what was never called."""
    flops: int | None = None
    activation_bytes: int | None = None


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
    declared: tuple[int, ...] | None
    """The shape that its torch.nn layer's settings give it; None where they say nothing of it."""
    parts: tuple[Part, ...]
    """What it is made of, where its elements lie in other tensors (sharded, sparse, quantized)."""
    unknown: tuple[tuple[str, str], ...]
    """Pairs of (fate, reason) for the fates that are None."""
    placements: tuple[Placement, ...] = ()
    """Of a DTensor, how it lies along each dimension of its mesh; empty for all other tensors."""
    reached: bool | None = None
    """Whether the loss of the run depends on it. This and what follows: as `TensorRun` has it; None where nothing was
    run."""
    grad: Gradient | None = None
    grad_norm: float | None = None
    grad_rows: tuple[int, int] | None = None
    changed_by: tuple[Phase, ...] | None = None
    update_ratio: float | None = None

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
    declared=None,
    parts=(),
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
    memory: int
    """Number of the first storage over the same memory: its own, but for two made from one numpy array."""
    start: int
    """Its first byte, counted from the first byte of that memory."""
    saved: int | None
    """Bytes of it that registered, persistent slots reach; None where there are none, so that nothing is saved."""

    @property
    def wasted(self) -> int:
        """Bytes that `torch.save` would write and no slot reaches: a storage is saved as a whole."""
        return 0 if self.saved is None else max(0, self.nbytes - self.saved)


class SharingRecord(NamedTuple):
    """One fact about slots that meet in memory."""

    kind: SharingKind
    slots: tuple[str, ...]
    """Paths in the snapshot's order; of a tensor that overlaps itself, all that hold it."""
    storage: int | None
    """The storage of the first slot; others may view another one over the same memory."""
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
    stride: tuple[int, ...] | None
    offset: int | None
    """Where its first element lies in its storage, in elements; None where `storage` is."""
    dtype: str | None
    device: str | None
    layout: str | None
    numel: int | None
    nbytes: int | None
    requires_grad: bool
    is_leaf: bool
    is_parameter: bool
    """Whether its class is `nn.Parameter` or made from it."""
    tensor: int
    """Which foreign tensor it is: equal numbers are one tensor that stands in several places."""
    storage: int | None
    """The storage of the model that it views; None where it lies elsewhere, or that cannot be told."""
    replaced_by: str | None
    """Path of the slot that looks like what took its place."""
    evidence: str | None
    """How that was told: `name`, `position` or `shape`."""


class StateRecord(NamedTuple):
    """A tensor of an optimizer's state that does not fit its parameter."""

    position: int
    """Of the parameter: its index in the group's `params`."""
    name: str
    """The key in its state, such as `exp_avg`."""
    shape: tuple[int, ...]
    device: str | None
    dtype: str | None


class StateBytes(NamedTuple):
    """What an optimizer keeps for one parameter in one dtype on one device."""

    dtype: str | None
    device: str | None
    nbytes: int


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
    states: tuple[tuple[StateBytes, ...], ...]
    """What is held for a member, each distinct one once."""
    state_of: tuple[int, ...]
    """For each member, in the group's order, the index of what is held for it; empty where nothing is for any."""
    misfits: tuple[StateRecord, ...]
    """Of the state that a torch.optim class keeps for each element of a parameter, what has another shape or device
    than it, or a dtype with which the next step raises."""


class OptimizerRecord(NamedTuple):
    """One optimizer: what it will step."""

    name: str
    type: str
    """Qualified class name."""
    groups: tuple[GroupRecord, ...]
    bases: tuple[str, ...]
    """The rest of its class's MRO as qualified names, nearest first, without `object`."""
    inner: tuple[str, ...]
    """The MRO of the optimizer within it whose groups these are, from its own class on; empty where they are its
    own."""
    steps_as: str | None
    """Qualified name of the class whose body defines the `step` of whoever holds the groups."""
    defaults: tuple[tuple[str, Any], ...] | None
    """What its `defaults` say of each key that it reads, as plain values; None where it has none."""
    read_keys: tuple[str, ...]
    """Keys of its groups, beyond those, that the code of its class, its hooks or its schedulers speaks of."""
    schedulers: tuple[str, ...]
    """Qualified names of the classes of what was handed over with it and sets its rates."""
    listed: tuple[str, ...]
    """Slots that only the groups of a wrapper hold, and not the optimizer within it, which steps."""
    file: str | None
    """The file of the function that made it: of what `-O` or the target names. None where that is not known."""
    function: str | None
    """That function's qualified name within the file."""

    @property
    def steps_copies(self) -> bool:
        """Whether it is DeepSpeed's and steps copies of its members: in float32, in one row, each rank its part."""
        return self.type.startswith(("deepspeed.runtime.", "accelerate.utils.deepspeed."))
