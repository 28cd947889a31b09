"""The types of a report's JSON, version 1: what is written, what is accepted, and what `schema.json` says of it.

A record of the package stands here a second time, field by field and on purpose: what the package keeps may change,
and what was promised to readers may not. What a field means is said with the record.
"""

# NOTE: annotations are no texts here: msgspec would compile 200 of them before it reads the first report.

from enum import Enum
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct
from msgspec.structs import astuple

from paramscope import snapshot
from paramscope.analysis import cost, totals
from paramscope.report import finding

FORMAT = "paramscope.report"
VERSION = 1

# What fits the arrays of a snapshot; larger numbers are no sizes that any machine has.
Natural = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Integer = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
Sizes = tuple[Natural, ...]
Texts = tuple[str, ...]
Setting = Integer | float | bool | str | tuple[Integer, ...] | None
Option = int | float | bool | str | tuple[Any, ...] | None
Pair = tuple[str, str]


class Wire(Struct, frozen=True):
    """A record as JSON has it: its fields in the order in which they are written."""

    record: ClassVar[Any]
    """The same record as the package has it."""


def refuse_objects(options: dict[str, Option]) -> None:
    """Raises ValueError where a list within options holds an object: no type of msgspec's says "lists of lists"."""
    waiting: list[Any] = list(options.values())
    for each in waiting:
        if type(each) is dict:
            raise ValueError("holds an object within an option")
        if type(each) in (tuple, list):
            waiting.extend(each)


class Membership(Wire, frozen=True):
    record = snapshot.Membership
    optimizer: str
    group: Natural


class Location(Wire, frozen=True):
    record = finding.Location
    file: str
    line: Natural


class Totals(Wire, frozen=True):
    record = totals.Totals
    parameters: Natural
    trainable: Natural
    frozen: Natural
    buffers: Natural
    hidden: Natural
    attributes: Natural
    by_name: Natural | None
    effective_trainable: Natural
    nbytes: Natural
    local: Natural | None
    unknown: Natural
    slots: Natural
    modules: Natural
    flops: Natural | None = None
    """Null, as the next one is, where nothing was run."""
    activation_bytes: Natural | None = None


class Module(Wire, frozen=True):
    record = snapshot.ModuleRecord
    path: str
    type: str
    registered: bool
    training: bool
    object: Natural
    settings: dict[str, Setting]
    unknown: dict[str, str]


class RankRecord(Wire, frozen=True):
    record = snapshot.RankRecord
    rank: Natural
    parameters: Natural
    nbytes: Natural
    slots: Natural


class RankDifference(Wire, frozen=True):
    record = snapshot.RankDifference
    kind: snapshot.Compared
    path: str
    said: tuple[tuple[tuple[tuple[Natural, Natural], ...], str], ...]


class Ranks(Wire, frozen=True):
    record = snapshot.Ranks
    records: tuple[RankRecord, ...]
    differences: tuple[RankDifference, ...]
    parameters: Natural | None = None


class Checksums(Wire, frozen=True):
    record = snapshot.Checksums
    kind: snapshot.Agreement
    ranks: tuple[Natural, ...]
    by: str
    codes: tuple[tuple[str, str], ...]


class Placement(Wire, frozen=True):
    record = snapshot.Placement
    mesh: str
    ranks: Natural
    kind: Literal["shard", "replicate", "partial"]
    dim: Natural | None


class Spec(Wire, frozen=True):
    record = snapshot.TensorSpec
    type: str
    shape: Sizes | None
    stride: tuple[Integer, ...] | None
    dtype: str | None
    device: str | None
    layout: str | None
    numel: Natural | None
    nbytes: Natural | None
    placements: tuple[Placement, ...] = ()


class Part(Wire, frozen=True):
    record = snapshot.Part
    name: str
    spec: Spec
    storage: Natural | None
    offset: Natural


class Slot(Wire, frozen=True):
    record = snapshot.SlotRecord
    path: str
    module: str
    name: str
    role: snapshot.Role
    registered: bool
    persistent: bool | None
    type: str | None
    shape: Sizes | None
    stride: tuple[Integer, ...] | None
    offset: Natural | None
    dtype: str | None
    device: str | None
    layout: str | None
    numel: Natural | None
    nbytes: Natural | None
    requires_grad: bool | None
    is_leaf: bool | None
    has_grad: bool | None
    is_parameter: bool | None
    status: snapshot.Status
    gradient: bool | None
    stepped: bool | None
    saved: bool | None
    moved: bool | None
    tensor: Natural | None
    storage: Natural | None
    groups: tuple[Membership, ...]
    declared: Sizes | None
    parts: tuple[Part, ...]
    unknown: dict[str, str]
    placements: tuple[Placement, ...] = ()


class Storage(Wire, frozen=True):
    record = snapshot.StorageRecord
    number: Natural
    device: str
    nbytes: Natural
    memory: Natural
    start: Natural
    saved: Natural | None


class Sharing(Wire, frozen=True):
    record = snapshot.SharingRecord
    kind: snapshot.SharingKind
    slots: Texts
    storage: Natural | None
    nbytes: Natural


class Alias(Wire, frozen=True):
    record = snapshot.AliasRecord
    path: str
    of: str


class Foreign(Wire, frozen=True):
    record = snapshot.ForeignRecord
    position: Natural
    name: str | None
    shape: Sizes | None
    stride: tuple[Integer, ...] | None
    offset: Natural | None
    dtype: str | None
    device: str | None
    layout: str | None
    numel: Natural | None
    nbytes: Natural | None
    requires_grad: bool
    is_leaf: bool
    is_parameter: bool
    tensor: Natural
    storage: Natural | None
    replaced_by: str | None
    evidence: str | None


class State(Wire, frozen=True):
    record = snapshot.StateRecord
    position: Natural
    name: str
    shape: Sizes
    device: str | None
    dtype: str | None


class StateBytes(Wire, frozen=True):
    record = snapshot.StateBytes
    dtype: str | None
    device: str | None
    nbytes: Natural


class Group(Wire, frozen=True):
    record = snapshot.GroupRecord
    index: Natural
    options: dict[str, Option]
    slots: Texts
    foreign: tuple[Foreign, ...]
    numel: Natural
    state_nbytes: Natural
    states: tuple[tuple[StateBytes, ...], ...]
    state_of: tuple[Natural, ...]
    misfits: tuple[State, ...]

    def __post_init__(self) -> None:
        refuse_objects(self.options)


class Optimizer(Wire, frozen=True):
    record = snapshot.OptimizerRecord
    name: str
    type: str
    groups: tuple[Group, ...]
    bases: Texts
    inner: Texts
    steps_as: str | None
    defaults: dict[str, Option] | None
    read_keys: Texts
    schedulers: Texts
    listed: Texts
    file: str | None = None
    """Reports of the first versions lack this and the next one."""
    function: str | None = None

    def __post_init__(self) -> None:
        refuse_objects(self.defaults or {})


class Class(Wire, frozen=True):
    record = snapshot.ClassRecord
    type: str
    module: str
    bases: Texts
    file: str | None
    line: Natural | None
    forward: str | None


class Oddity(Wire, frozen=True):
    record = snapshot.Oddity
    path: str
    kind: snapshot.OddityKind
    name: str
    value: Setting


class DeclaredTie(Wire, frozen=True):
    record = snapshot.DeclaredTie
    module: str
    source: Literal["instance", "class"]
    names: Pair
    pairs: tuple[Pair, ...]
    undecided: str | None


class TpStyle(Wire, frozen=True):
    record = snapshot.TpStyle
    module: str
    pattern: str
    style: str


class Note(Wire, frozen=True):
    record = snapshot.Note
    path: str
    kind: snapshot.NoteKind
    text: str


class Finding(Wire, frozen=True):
    record = finding.Finding
    code: str
    name: str
    severity: finding.Severity
    message: str
    paths: Annotated[Texts, Meta(min_length=1)]
    location: Location | None
    help: str
    unlocated: str = ""
    """Reports of the first versions lack it."""


class Skipped(Wire, frozen=True):
    record = finding.Skipped
    code: str
    reason: str


class Value(Wire, frozen=True):
    record = snapshot.ValueRecord
    path: str
    kind: Literal["nan", "inf", "constant", "equal"]
    group: Natural | None


class TensorRun(Wire, frozen=True):
    record = snapshot.TensorRun
    tensor: Natural
    reached: bool | None
    grad: snapshot.Gradient | None
    grad_norm: float | None
    grad_rows: tuple[Natural, Natural] | None
    changed_by: tuple[snapshot.Phase, ...]
    update_ratio: float | None


class ModuleRun(Wire, frozen=True):
    record = snapshot.ModuleRun
    module: str
    calls: Natural
    output: str
    flops: Natural
    activation_bytes: Natural


class LooseParameter(Wire, frozen=True):
    record = snapshot.LooseParameter
    shape: Sizes
    dtype: str


class Run(Wire, frozen=True):
    record = snapshot.Run
    kind: snapshot.RunKind
    inputs: str
    loss: str
    is_loss_made: bool
    loss_requires_grad: bool
    is_loss_finite: bool | None
    flops: Natural
    activation_bytes: Natural
    input_bytes: Natural
    uncounted: tuple[tuple[str, Natural], ...]
    is_random: bool | None
    notes: Texts
    seconds: float
    loose: tuple[LooseParameter, ...]
    tensors: tuple[TensorRun, ...]
    modules: tuple[ModuleRun, ...]


class Sums(Wire, frozen=True):
    record = cost.Sums
    parameters: Natural | None
    gradients: Natural | None
    optimizer_state: Natural | None
    buffers: Natural | None
    activations: Natural | None


class Foreseen(Wire, frozen=True):
    record = cost.Foreseen
    optimizer: str
    type: str
    how: cost.How
    why: str


class Cost(Wire, frozen=True):
    record = cost.Cost
    parameters: Natural | None
    gradients: Natural | None
    optimizer_state: Natural | None
    buffers: Natural | None
    activations: Natural | None
    unknown: dict[str, str]
    by_dtype: dict[str, Sums]
    by_device: dict[str, Sums]
    by_module: dict[str, Sums]
    foreseen: tuple[Foreseen, ...]
    at_first_step: "Cost | None"


class Producer(Struct, frozen=True):
    paramscope: str
    torch: str


class Model(Struct, frozen=True):
    type: str
    training: bool | None
    """None where several roots differ."""
    roots: Annotated[Texts, Meta(extra_json_schema={"minItems": 1})]


class Report(Struct, frozen=True, kw_only=True):
    """A whole report. Further keys are allowed everywhere: a later paramscope may add some."""

    format: Annotated[str, Meta(extra_json_schema={"const": FORMAT})]
    version: Annotated[int, Meta(extra_json_schema={"const": VERSION})]
    producer: Producer
    target: str | None = None
    model: Model
    totals: Totals
    modules: list[Module]
    slots: list[Slot]
    storages: list[Storage]
    sharing: tuple[Sharing, ...]
    aliases: tuple[Alias, ...]
    optimizers: tuple[Optimizer, ...]
    classes: tuple[Class, ...]
    marks: tuple[Oddity, ...]
    """The snapshot's oddities, by the name that version 1 gives them."""
    declared_ties: tuple[DeclaredTie, ...]
    tp_plan: tuple[TpStyle, ...] = ()
    notes: tuple[Note, ...]
    findings: tuple[Finding, ...]
    ignored: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    values: tuple[Value, ...] | None = None
    run: Run | None = None
    """What was run, and what it showed; null where nothing was."""
    rank: Natural | None = None
    """Which rank of a job saw it; null where there was no process group."""
    checksums: tuple[Checksums, ...] | None = None
    ranks: Ranks | None = None
    """What the ranks of the job hold; null where no others were asked."""
    cost: Cost | None = None
    """What training takes; null where it was not asked for."""


def to_record(value: Any) -> Any:
    """What was read → the same as the package has it: its records, and pairs for the objects of JSON."""
    if isinstance(value, Wire):
        return value.record(*map(to_record, astuple(value)))
    if type(value) is dict:
        return tuple((name, to_record(each)) for name, each in value.items())
    return tuple(map(to_record, value)) if type(value) in (tuple, list) else value


def to_cost(found: Cost) -> cost.Cost:
    """What was read of a cost, which keeps its objects."""
    by_dtype, by_device, by_module = (
        {name: to_record(each) for name, each in split.items()}
        for split in (found.by_dtype, found.by_device, found.by_module)
    )
    return to_record(found)._replace(  # type: ignore[no-any-return]  # a Cost
        unknown=found.unknown,
        by_dtype=by_dtype,
        by_device=by_device,
        by_module=by_module,
        at_first_step=found.at_first_step and to_cost(found.at_first_step),
    )


def to_plain(value: Any) -> Any:
    """What the package has → the dicts, lists and plain values that `json` writes."""
    wire = _WIRE.get(type(value))
    if wire is not None:
        return {name: to_plain_field(name, getattr(value, name)) for name in wire.__struct_fields__}
    if type(value) is tuple:
        return list(map(to_plain, value))
    if type(value) is dict:
        return {name: to_plain(each) for name, each in value.items()}
    return value.value if isinstance(value, Enum) else value


def to_plain_field(name: str, value: Any) -> Any:
    """The same for what stands in a record under a name."""
    if name in OBJECTS and type(value) is tuple:
        return {key: to_plain(each) for key, each in value}
    return to_plain(value)


_WIRE = {wire.record: wire for wire in Wire.__subclasses__()}
OBJECTS = frozenset(("settings", "unknown", "options", "defaults"))
"""Fields that are objects in JSON, and that the package has as pairs of a name and a value."""
