"""The one table of what a report's JSON holds: a row a field, in the order in which it is written."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar, get_args

from paramscope.analysis.totals import Totals
from paramscope.errors import ReportError
from paramscope.report.finding import Finding, Location, Severity, Skipped
from paramscope.snapshot import (
    AliasRecord,
    ClassRecord,
    DeclaredTie,
    ForeignRecord,
    GroupRecord,
    Mark,
    MarkKind,
    Membership,
    ModuleRecord,
    Note,
    NoteKind,
    OptimizerRecord,
    Part,
    Role,
    SharingKind,
    SharingRecord,
    SlotRecord,
    StateRecord,
    Status,
    StorageRecord,
    TensorSpec,
    ValueRecord,
)
from paramscope.wire.kinds import (
    FLAG,
    NATURAL,
    OPTIONS,
    PAIR,
    PAIRS,
    REASONS,
    SETTING,
    SETTINGS,
    SIZES,
    STRIDES,
    TEXT,
    TEXTS,
    Kind,
    one_of,
    or_null,
)

T = TypeVar("T")


class Field(NamedTuple):
    """One field of one record."""

    name: str
    """The key in JSON, and the attribute of the record."""
    kind: Kind

    @property
    def is_optional(self) -> bool:
        """Whether reports of earlier versions lack it."""
        return self.kind.absent is not None


class Row(NamedTuple):
    """All fields of one kind of record."""

    record: Any
    """The class whose instances are written."""
    fields: tuple[Field, ...]


def row(record: Any, **fields: Kind) -> Row:
    """A table row; the fields stand in the record's own order."""
    return Row(record, tuple(Field(name, kind) for name, kind in fields.items()))


def write_record(table: Row, record: Any) -> dict[str, Any]:
    """One record as what `json` can write."""
    return {field.name: field.kind.write(getattr(record, field.name)) for field in table.fields}


def read_fields(table: Row, value: Any, where: str) -> list[Any]:
    """The checked values of one parsed record, in the table's order.

    Unknown keys are ignored: a later paramscope may add some. Raises ReportError.
    """
    if type(value) is not dict:
        raise damaged(where, f"should be an object, but is {_kind_of(value)}")
    found = []
    for field in table.fields:
        each = value.get(field.name, field.kind.absent)
        if each is None and field.name not in value:
            raise damaged(where, f"has no {field.name!r}")
        if not field.kind.accepts(each):
            raise damaged(f"{where}.{field.name}", f"cannot be {_kind_of(each)}")
        found.append(field.kind.read(each))
    return found


def read_record(table: Row, value: Any, where: str) -> Any:
    """One record from its parsed JSON. Raises ReportError."""
    return table.record(*read_fields(table, value, where))


def damaged(where: str, what: str) -> ReportError:
    """The error for a report that says something it cannot."""
    return ReportError(f"this is no sound report: {where} {what}", "Save it again: paramscope inspect … -o FILE.json")


def _kind_of(value: Any) -> str:
    text = repr(value) if type(value) in (int, float, bool, str, type(None)) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "…"


def records(table: Row) -> Kind:
    """A list of records of one kind."""
    return Kind(
        {"type": "array", "items": schema_of(table)},
        lambda value: type(value) is list,
        lambda value: tuple(read_record(table, each, table.record.__name__) for each in value),
        lambda value: [write_record(table, each) for each in value],
    )


def record_of(table: Row) -> Kind:
    """One record of a kind."""
    return Kind(
        schema_of(table),
        lambda value: type(value) is dict,
        lambda value: read_record(table, value, table.record.__name__),
        lambda value: write_record(table, value),
    )


def schema_of(table: Row) -> dict[str, Any]:
    """JSON Schema of one record."""
    return {
        "type": "object",
        "required": [field.name for field in table.fields if not field.is_optional],
        "properties": {field.name: field.kind.schema for field in table.fields},
    }


MEMBERSHIP = row(Membership, optimizer=TEXT, group=NATURAL)
LOCATION = row(Location, file=TEXT, line=NATURAL)
TOTALS = row(
    Totals,
    parameters=NATURAL,
    trainable=NATURAL,
    frozen=NATURAL,
    buffers=NATURAL,
    hidden=NATURAL,
    attributes=NATURAL,
    by_name=or_null(NATURAL),
    effective_trainable=NATURAL,
    nbytes=NATURAL,
    local=or_null(NATURAL),
    unknown=NATURAL,
    slots=NATURAL,
    modules=NATURAL,
)
MODULE = row(
    ModuleRecord,
    path=TEXT,
    type=TEXT,
    registered=FLAG,
    training=FLAG,
    object=NATURAL,
    settings=SETTINGS,
    unknown=REASONS,
)
SPEC = row(
    TensorSpec,
    type=TEXT,
    shape=or_null(SIZES),
    stride=or_null(STRIDES),
    dtype=or_null(TEXT),
    device=or_null(TEXT),
    layout=or_null(TEXT),
    numel=or_null(NATURAL),
    nbytes=or_null(NATURAL),
)
PART = row(Part, name=TEXT, spec=record_of(SPEC), storage=or_null(NATURAL), offset=NATURAL)
SLOT = row(
    SlotRecord,
    path=TEXT,
    module=TEXT,
    name=TEXT,
    role=one_of(*get_args(Role)),
    registered=FLAG,
    persistent=or_null(FLAG),
    type=or_null(TEXT),
    shape=or_null(SIZES),
    stride=or_null(STRIDES),
    offset=or_null(NATURAL),
    dtype=or_null(TEXT),
    device=or_null(TEXT),
    layout=or_null(TEXT),
    numel=or_null(NATURAL),
    nbytes=or_null(NATURAL),
    requires_grad=or_null(FLAG),
    is_leaf=or_null(FLAG),
    has_grad=or_null(FLAG),
    is_parameter=or_null(FLAG),
    status=one_of(*get_args(Status)),
    gradient=or_null(FLAG),
    stepped=or_null(FLAG),
    saved=or_null(FLAG),
    moved=or_null(FLAG),
    tensor=or_null(NATURAL),
    storage=or_null(NATURAL),
    groups=records(MEMBERSHIP),
    declared=or_null(SIZES),
    parts=records(PART),
    unknown=REASONS,
)
STORAGE = row(
    StorageRecord,
    number=NATURAL,
    device=TEXT,
    nbytes=NATURAL,
    memory=NATURAL,
    start=NATURAL,
    saved=or_null(NATURAL),
)
SHARING = row(
    SharingRecord,
    kind=one_of(*get_args(SharingKind)),
    slots=TEXTS,
    storage=or_null(NATURAL),
    nbytes=NATURAL,
)
ALIAS = row(AliasRecord, path=TEXT, of=TEXT)
FOREIGN = row(
    ForeignRecord,
    position=NATURAL,
    name=or_null(TEXT),
    shape=or_null(SIZES),
    stride=or_null(STRIDES),
    offset=or_null(NATURAL),
    dtype=or_null(TEXT),
    device=or_null(TEXT),
    layout=or_null(TEXT),
    numel=or_null(NATURAL),
    nbytes=or_null(NATURAL),
    requires_grad=FLAG,
    is_leaf=FLAG,
    is_parameter=FLAG,
    tensor=NATURAL,
    storage=or_null(NATURAL),
    replaced_by=or_null(TEXT),
    evidence=or_null(TEXT),
)
STATE = row(StateRecord, position=NATURAL, name=TEXT, shape=SIZES, device=or_null(TEXT), dtype=or_null(TEXT))
GROUP = row(
    GroupRecord,
    index=NATURAL,
    options=OPTIONS,
    slots=TEXTS,
    foreign=records(FOREIGN),
    numel=NATURAL,
    state_nbytes=NATURAL,
    misfits=records(STATE),
)
OPTIMIZER = row(
    OptimizerRecord,
    name=TEXT,
    type=TEXT,
    groups=records(GROUP),
    bases=TEXTS,
    inner=TEXTS,
    steps_as=or_null(TEXT),
    defaults=or_null(OPTIONS),
    read_keys=TEXTS,
    schedulers=TEXTS,
    listed=TEXTS,
)
CLASS = row(
    ClassRecord,
    type=TEXT,
    module=TEXT,
    bases=TEXTS,
    file=or_null(TEXT),
    line=or_null(NATURAL),
    forward=or_null(TEXT),
)
MARK = row(Mark, path=TEXT, kind=one_of(*get_args(MarkKind)), name=TEXT, value=SETTING)
DECLARED_TIE = row(
    DeclaredTie,
    module=TEXT,
    source=one_of("instance", "class"),
    names=PAIR,
    pairs=PAIRS,
    undecided=or_null(TEXT),
)
VALUE = row(ValueRecord, path=TEXT, kind=one_of("nan", "inf", "constant", "equal"), group=or_null(NATURAL))
NOTE = row(Note, path=TEXT, kind=one_of(*get_args(NoteKind)), text=TEXT)
FINDING = row(
    Finding,
    code=TEXT,
    name=TEXT,
    severity=Kind(
        {"type": "string", "enum": [each.value for each in Severity]},
        lambda value: value in ("error", "warning", "info"),
        Severity,
        lambda value: value.value,
    ),
    message=TEXT,
    paths=Kind({**TEXTS.schema, "minItems": 1}, lambda value: TEXTS.accepts(value) and bool(value), tuple, list),
    location=Kind(
        {**schema_of(LOCATION), "type": ["object", "null"]},
        lambda value: value is None or type(value) is dict,
        lambda value: None if value is None else read_record(LOCATION, value, "location"),
        lambda value: None if value is None else write_record(LOCATION, value),
    ),
    help=TEXT,
    unlocated=TEXT._replace(absent=""),
)
SKIPPED = row(Skipped, code=TEXT, reason=TEXT)

# The lists of a report, by their key.
LISTS: dict[str, Row] = {
    "modules": MODULE,
    "slots": SLOT,
    "storages": STORAGE,
    "sharing": SHARING,
    "aliases": ALIAS,
    "optimizers": OPTIMIZER,
    "classes": CLASS,
    "marks": MARK,
    "declared_ties": DECLARED_TIE,
    "notes": NOTE,
    "findings": FINDING,
    "ignored": FINDING,
    "skipped": SKIPPED,
}
