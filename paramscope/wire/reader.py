"""JSON → Report. The text is untrusted: sizes, depths and every field are checked, nothing is unpickled."""

from __future__ import annotations

import json
import os
from array import array
from contextlib import suppress
from math import prod
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeVar

from paramscope.collector import paused_collector
from paramscope.errors import ReportError
from paramscope.report.data import ReportData
from paramscope.report.finding import Finding, Location
from paramscope.snapshot import (
    NO_SUCH_SLOTS,
    REGISTERED,
    TRAINING,
    Interned,
    Membership,
    ModuleColumns,
    Setting,
    SlotRecord,
    Snapshot,
    StorageColumns,
    TensorColumns,
    TensorSpec,
    ValueRecord,
)
from paramscope.wire import FORMAT, VERSION
from paramscope.wire.fields import LISTS, TOTALS, VALUE, damaged, read_record
from paramscope.wire.slots import SlotReader, flags_of
from paramscope.wire.texts import OWN, Alike, Unlike, in_texts, read_objects, read_texts, refuse_constant

Made = TypeVar("Made", bound=ReportData)
MAX_BYTES = 1 << 30
"""Reports above 1 GiB are not read: a million slots take less."""

_SAVE_AGAIN = "Save it with: paramscope inspect TARGET -o FILE.json"


def read_report_file(path: Path, make: type[Made]) -> Made:
    """A report from a file, as `make` holds it. Raises ReportError, also where the file cannot be read."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ReportError(f"{path} is {size:,} bytes: reports above {MAX_BYTES:,} are not read", _SAVE_AGAIN)
        data = path.read_bytes()
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}", "Check the path and its permissions.") from None
    try:
        text = _decoded(data)
        del data  # as large as the text
        return read_report(text, make)
    except ReportError as error:
        raise ReportError(f"{path}: {error.problem}", error.advice) from None


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ReportError(
            "this is no JSON text (and pickles are never opened)", "Name a report that was saved as .json."
        ) from None


def read_report(text: str | bytes, make: type[Made]) -> Made:
    """A report from JSON text, as `make` holds it. Raises ReportError."""
    with paused_collector():
        return _read(text, make)


def _read(text: str | bytes, make: type[Made]) -> Made:
    if len(text) > MAX_BYTES:
        raise ReportError(f"this is {len(text):,} long: reports above {MAX_BYTES:,} bytes are not read", _SAVE_AGAIN)
    decoded = _decoded(text) if isinstance(text, bytes) else text
    mark = f"cut:{token_hex(16)}"
    cut = in_texts(decoded, mark)
    if cut is not None:
        # What the writer has written is read without all of it being parsed. Whatever is odd is read as any JSON,
        # which also says what is wrong.
        with suppress(ReportError, Unlike):
            return _read_parsed(_parse(cut[0]), cut[1], mark, make)
    return _read_parsed(_parse(decoded), {}, "", make)


def _read_parsed(found: Any, texts: dict[str, list[str]], mark: str, make: type[Made]) -> Made:
    """The report. texts: by name, the lists that are not among what was parsed; there stands the mark."""
    if type(found) is not dict or found.get("format") != FORMAT:
        raise ReportError("this JSON is no paramscope report", _SAVE_AGAIN)
    version = found.get("version")
    if type(version) is int and version > VERSION:
        raise ReportError(
            f"this report has version {version}, and this paramscope reads up to version {VERSION}",
            "Read it with a newer paramscope: pip install --upgrade paramscope",
        )
    if version != VERSION or type(version) is not int:
        raise damaged("version", "is not 1")
    lists: dict[str, list[Any]] = {}
    many: dict[str, Alike] = {}
    for key, table in LISTS.items():
        each = found.get(key)
        if key in texts:
            if each != mark:
                raise Unlike
            many[key] = read_texts(key, texts[key])
        elif type(each) is not list:
            raise damaged(key, "is missing" if each is None else "should be a list")
        elif key in OWN:
            many[key] = read_objects(key, each)
        else:
            lists[key] = [read_record(table, one, f"{key}[{index}]") for index, one in enumerate(each)]
    producer, model, target = found.get("producer"), found.get("model"), found.get("target")
    if type(producer) is not dict or type(producer.get("torch")) is not str:
        raise damaged("producer.torch", "is missing")
    roots = model.get("roots") if type(model) is dict else None
    if type(roots) is not list or not roots or not all(type(root) is str for root in roots):
        raise damaged("model.roots", "is missing")
    if target is not None and type(target) is not str:
        raise damaged("target", "should be a string")
    files = {os.path.realpath(each.file) for each in lists["classes"] if each.file and os.path.isabs(each.file)}
    report = make(
        _snapshot(lists, many, tuple(roots), producer["torch"], _values(found.get("values"))),
        findings=tuple(_at_its_file(each, files) for each in lists["findings"]),
        ignored=tuple(_at_its_file(each, files) for each in lists["ignored"]),
        skipped=tuple(lists["skipped"]),
        target=target,
    )
    if read_record(TOTALS, found.get("totals"), "totals") != report.totals:
        raise damaged("totals", "do not agree with the slots: the file was edited")
    return report


def _at_its_file(finding: Finding, files: set[str]) -> Finding:
    """A finding whose file was written relative to a folder, at that file, whatever the folder is today."""
    location = finding.location
    if location is None or location.path in files or location.file == location.path:
        return finding
    named = [file for file in files if file.endswith(f"{os.sep}{location.file}")]
    return finding._replace(location=Location(named[0], location.line)) if len(named) == 1 else finding


def _parse(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except RecursionError:
        raise ReportError("this JSON is nested too deeply to be a report", _SAVE_AGAIN) from None
    except json.JSONDecodeError as error:
        ends = "ends too early" if error.pos >= len(error.doc.rstrip()) - 1 else "is no JSON"
        where = f"line {error.lineno}, column {error.colno}"
        raise ReportError(f"this report {ends} ({where}: {error.msg})", _SAVE_AGAIN) from None
    except ValueError as error:  # a number of thousands of digits, NaN
        raise ReportError(f"this JSON holds a number that no report holds: {error}", _SAVE_AGAIN) from None


def _values(written: Any) -> tuple[ValueRecord, ...] | None:
    if written is None:
        return None
    if type(written) is not list:
        raise damaged("values", "should be a list")
    return tuple(read_record(VALUE, each, f"values[{index}]") for index, each in enumerate(written))


def _snapshot(
    lists: dict[str, list[Any]],
    many: dict[str, Alike],
    roots: tuple[str, ...],
    torch_version: str,
    values: tuple[ValueRecord, ...] | None,
) -> Snapshot:
    modules, types, settings, positions = _modules(many["modules"])
    reader = SlotReader(many["slots"], modules, positions)
    has_quantized = any(mark.kind == "quantized" for mark in lists["marks"])
    specs, memberships, tensor_columns, devices = _tensors(
        reader.first, len(many["storages"].records), has_quantized=has_quantized
    )
    snapshot = Snapshot(
        roots=roots,
        torch_version=torch_version,
        module_columns=modules,
        slot_columns=reader.columns,
        tensor_columns=tensor_columns,
        storage_columns=_storages(many["storages"], devices),
        interned=Interned(types, tuple(devices), specs, memberships, settings, tuple(lists["classes"])),
        sharing=tuple(lists["sharing"]),
        aliases=tuple(lists["aliases"]),
        optimizers=tuple(lists["optimizers"]),
        marks=tuple(lists["marks"]),
        declarations=tuple(
            tie._replace(pairs=(), undecided=None) if tie.pairs or tie.undecided == NO_SUCH_SLOTS else tie
            for tie in lists["declared_ties"]
        ),
        notes=tuple(lists["notes"]),
        values=values,
    )
    for root in roots:
        if root not in positions:
            raise damaged(f"root {root!r}", "is not among the modules")
    # The columns hold less than the records say: what they derive has to be what was written.
    for index, record in reader.witnesses():
        if snapshot.slots.at(index) != record:
            raise damaged(f"slots[{index}]", "contradicts itself or its module")
    if snapshot.declared_ties != tuple(lists["declared_ties"]):
        raise damaged("declared_ties", "do not agree with the slots")
    known = frozenset(many["slots"].own["path"])
    if not known.issuperset(record.path for record in values or ()):
        raise damaged("values", "name a slot that is not there")
    for sharing in snapshot.sharing:
        if not sharing.slots or not known.issuperset(sharing.slots):
            raise damaged("sharing", "names a slot that is not there")
    for optimizer in snapshot.optimizers:
        for group in optimizer.groups:
            if not known.issuperset(group.slots):
                raise damaged(f"optimizer {optimizer.name!r}", "names a slot that is not there")
    return snapshot


_Settings = tuple[tuple[str, Setting], ...]


def _modules(
    modules: Alike,
) -> tuple[ModuleColumns, tuple[str, ...], tuple[_Settings, ...], dict[str, int]]:
    """Columns, types and settings by number, and positions by path."""
    types: dict[str, int] = {}
    settings: dict[_Settings, int] = {(): 0}
    positions: dict[str, int] = {}
    kinds: dict[int, tuple[int, int, int]] = {}
    """(type, flags, settings) of modules that are alike."""
    columns = ModuleColumns(modules.own["path"], array("i"), bytearray(), {}, array("i"), {})
    for index, (record, path, number) in enumerate(zip(modules.records, *modules.own.values(), strict=True)):
        positions.setdefault(path, index)
        kind = kinds.get(id(record))
        if kind is None:
            flags = (record.registered and REGISTERED) | (record.training and TRAINING)
            type_number = types.setdefault(record.type, len(types))
            kind = kinds[id(record)] = type_number, flags, settings.setdefault(record.settings, len(settings))
        columns.types.append(kind[0])
        columns.flags.append(kind[1])
        columns.settings.append(kind[2])
        if number > index:
            raise damaged(f"modules[{index}].object", "points behind itself")
        if number != index:
            columns.repeats[index] = number
        if record.unknown:
            columns.unknown[index] = record.unknown
    return columns, tuple(types), tuple(settings), positions


def _tensors(
    tensors: dict[int, tuple[SlotRecord, int | None, int | None]], storages: int, *, has_quantized: bool
) -> tuple[tuple[TensorSpec, ...], tuple[tuple[Membership, ...], ...], TensorColumns, dict[str, int]]:
    """Specs and memberships by number, tensor columns, and the numbers of devices, as capture numbers them."""
    specs: dict[TensorSpec, int] = {}
    devices: dict[str, int] = {}
    memberships: dict[tuple[Membership, ...], int] = {(): 0}
    columns = TensorColumns(array("i"), array("i"), array("q"), bytearray(), array("i"), {})
    known: dict[int, tuple[int, int, int]] = {}
    """By the identity of what thousands have in common; `tensors` holds these."""
    for number in range(len(tensors)):
        found = tensors.get(number)
        if found is None:
            raise damaged("slots", f"hold no tensor {number}")
        record, storage, offset = found
        if (storage is not None and storage >= storages) or (storage is not None and offset is None):
            raise damaged(f"tensor {number}", "views no storage that is there")
        columns.storages.append(-1 if storage is None else storage)
        columns.offsets.append(offset or 0)
        if record.parts:
            columns.parts[number] = record.parts
            if any(part.storage is not None and part.storage >= storages for part in record.parts):
                raise damaged(f"tensor {number}", "views no storage that is there")
        alike = known.get(id(record))
        if alike is None:
            alike = known[id(record)] = _alike(record, specs, devices, memberships, is_strict=not has_quantized)
        spec, flags, membership = alike
        columns.specs.append(spec)
        columns.flags.append(flags)
        columns.memberships.append(membership)
    return tuple(specs), tuple(memberships), columns, devices


def _alike(
    record: SlotRecord,
    specs: dict[TensorSpec, int],
    devices: dict[str, int],
    memberships: dict[tuple[Membership, ...], int],
    *,
    is_strict: bool,
) -> tuple[int, int, int]:
    """(number of the spec, flags, number of the memberships) of tensors that are like one."""
    if record.type is None:
        raise damaged(f"the slot {record.path!r}", "holds a tensor without a type")
    spec = TensorSpec(
        record.type,
        record.shape,
        record.stride,
        record.dtype,
        record.device,
        record.layout,
        record.numel,
        record.nbytes,
    )
    if not _is_coherent(spec, is_strict=is_strict):
        raise damaged(f"the slot {record.path!r}", "has a shape that contradicts its strides or its elements")
    if spec not in specs:
        specs[spec] = len(specs)
        devices.setdefault(spec.device or "none", len(devices))
    for part in record.parts:
        devices.setdefault(part.spec.device or "none", len(devices))
    return specs[spec], flags_of(record), memberships.setdefault(record.groups, len(memberships))


def _is_coherent(spec: TensorSpec, *, is_strict: bool) -> bool:
    """is_strict: whether no tensor stands for other elements than it stores."""
    if spec.shape is None:
        return spec.stride is None and spec.numel is None
    is_numel = spec.numel == prod(spec.shape)
    if not is_strict and not is_numel:
        is_numel = 0 < (spec.numel or 0) <= 8 * (spec.nbytes or 0)
    return is_numel and (spec.stride is None or len(spec.stride) == len(spec.shape))


def _storages(storages: Alike, devices: dict[str, int]) -> StorageColumns:
    records, memories = storages.records, storages.own["memory"]
    if any(record.device not in devices for record in records) or storages.own["number"] != [*range(len(records))]:
        raise damaged("storages", "have other numbers than their positions, or unknown devices")
    shared = {memory for number, memory in enumerate(memories) if memory != number}
    columns = StorageColumns(
        array("q", [record.nbytes for record in records]),
        array("i", [devices[record.device] for record in records]),
        {},
    )
    for number, (record, memory) in enumerate(zip(records, memories, strict=True)):
        if memory > number or (record.start and memory not in shared):
            raise damaged(f"storages[{number}].memory", "points behind itself")
        if memory in shared:
            columns.memories[number] = (memory, record.start)
    return columns
