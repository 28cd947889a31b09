"""JSON → Report. The text is untrusted: sizes, depths and every field are checked, nothing is unpickled."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

import msgspec

from paramscope.analysis.cost import COST
from paramscope.collector import paused_collector
from paramscope.errors import ReportError, nearest
from paramscope.report.data import ReportData
from paramscope.report.finding import Finding, Location
from paramscope.snapshot import NO_SUCH_SLOTS, Interned, Snapshot
from paramscope.wire.columns import ModuleReader, SlotReader, TensorReader, damaged, read_storages
from paramscope.wire.records import FORMAT, VERSION, Module, Report, Slot, Storage, to_cost, to_record

Made = TypeVar("Made", bound=ReportData)
MAX_BYTES = 1 << 30
"""Reports above 1 GiB are not read: a million slots take less."""

_SAVE_AGAIN = "Save it with: paramscope inspect TARGET -o FILE.json"


class _Cut(Report, frozen=True, kw_only=True):
    """A report whose long lists are only cut into records, which are read one by one: they fill columns, and a
    hundred thousand at a time would take more memory than the text."""

    modules: list[msgspec.Raw]  # type: ignore[assignment]
    slots: list[msgspec.Raw]  # type: ignore[assignment]
    storages: list[msgspec.Raw]  # type: ignore[assignment]


def read_report_file(path: str, make: type[Made]) -> Made:
    """A report from a file, as `make` holds it. Raises ReportError, also where the file cannot be read."""
    try:
        size = os.stat(path).st_size
        if size > MAX_BYTES:
            raise ReportError(f"{path} is {size:,} bytes: reports above {MAX_BYTES:,} are not read", _SAVE_AGAIN)
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        near = _beside(path) if isinstance(error, FileNotFoundError) else []
        advice = f"Did you mean {near[0]}?" if near else "Check the path and its permissions."
        raise ReportError(f"{path} cannot be read: {error.strerror}", advice) from None
    try:
        return read_report(data, make)
    except ReportError as error:
        raise ReportError(f"{path}: {error.problem}", error.advice) from None


def _beside(path: str) -> list[str]:
    """Files of the same folder and ending that a mistyped path may have meant, nearest first."""
    folder, name = os.path.split(path)
    try:
        there = [each for each in os.listdir(folder or os.curdir) if each.endswith(os.path.splitext(name)[1])]
    except OSError:
        return []
    return [os.path.join(folder, each) for each in nearest(name, there)]


def read_report(text: str | bytes, make: type[Made]) -> Made:
    """A report from JSON text, as `make` holds it. Raises ReportError."""
    if len(text) > MAX_BYTES:
        raise ReportError(f"this is {len(text):,} long: reports above {MAX_BYTES:,} bytes are not read", _SAVE_AGAIN)
    try:
        with paused_collector():
            return _read(text, make)
    except RecursionError:
        raise ReportError("this JSON is nested too deeply to be a report", _SAVE_AGAIN) from None


def _read(text: str | bytes, make: type[Made]) -> Made:
    try:
        found = msgspec.json.decode(text, type=_Cut)
        modules = map(msgspec.json.Decoder(Module).decode, found.modules)
        slots = map(msgspec.json.Decoder(Slot).decode, found.slots)
        storages = map(msgspec.json.Decoder(Storage).decode, found.storages)
        return _report(found, modules, slots, storages, make)
    except (msgspec.MsgspecError, UnicodeError):
        # What is wrong is found in all of it, parsed; or nothing is, but for half a surrogate pair in a name, which
        # msgspec does not read, and Python does.
        sound = _sound(_parsed(text))
    return _report(sound, sound.modules, sound.slots, sound.storages, make)


def _parsed(text: str | bytes) -> Any:
    """Any JSON. Raises ReportError where it is none, RecursionError where it is too deep."""
    import json

    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        return json.loads(decoded, parse_constant=_refuse, parse_float=_finite)
    except UnicodeDecodeError:
        raise ReportError(
            "this is no JSON text (and pickles are never opened)", "Name a report that was saved as .json."
        ) from None
    except json.JSONDecodeError as error:
        ends = "ends too early" if error.pos >= len(error.doc.rstrip()) - 1 else "is no JSON"
        where = f"line {error.lineno}, column {error.colno}"
        raise ReportError(f"this report {ends} ({where}: {error.msg})", _SAVE_AGAIN) from None
    except ValueError as error:  # a number of thousands of digits, NaN
        raise ReportError(f"this JSON holds a number that no report holds: {error}", _SAVE_AGAIN) from None


def _refuse(number: str) -> NoReturn:
    raise ValueError(number)


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _refuse(number)


def _sound(parsed: Any) -> Report:
    """A report that was parsed as any JSON. Raises ReportError, which says what is wrong and where."""
    if type(parsed) is not dict or parsed.get("format") != FORMAT:
        raise ReportError("this JSON is no paramscope report", _SAVE_AGAIN)
    version = parsed.get("version")
    if type(version) is int and version > VERSION:
        raise ReportError(
            f"this report has version {version}, and this paramscope reads up to version {VERSION}",
            "Read it with a newer paramscope: pip install --upgrade paramscope",
        )
    if version != VERSION or type(version) is not int:
        raise damaged("version", f"is not {VERSION}")
    try:
        return msgspec.convert(parsed, Report)
    except msgspec.ValidationError as error:
        raise _placed(error, parsed) from None
    except UnicodeError:
        raise damaged("a word", "that is one of a few holds half a surrogate pair") from None


def _placed(error: msgspec.ValidationError, parsed: Any) -> ReportError:
    """What msgspec says of a value, with the value, and in our own words where these are clearer."""
    what, _, path = str(error).partition(" - at `$")
    steps = re.findall(r"\.\w+|\[\d+\]", path.partition("[...]")[0])
    where, value = "".join(steps).removeprefix("."), _at(parsed, steps)
    if what.startswith("Object missing required field"):
        name = what.split("`")[1]
        return damaged(where, f"has no {name!r}") if where else damaged(name, "is missing")
    if len(steps) == 1 and what.startswith("Expected `array`, got"):
        return damaged(where, "is missing" if value is None else "should be a list")
    if what.startswith("Expected `object`, got"):
        return damaged(where, f"should be an object, but is {_kind_of(value)}")
    if not what.startswith(("Expected", "Invalid")):  # ours
        return damaged(where, what)
    # Of a list all is shown, and then which of its items is wrong.
    field = re.sub(r"(\[\d+\])*$", "", where)
    items = where.removeprefix(field)
    held = _at(parsed, steps[: len(steps) - items.count("[")])
    expected = what.partition(", got")[0].replace("Expected", "expected")
    why = "" if what.startswith("Invalid") else f" ({items + ': ' if items else ''}{expected})"
    return damaged(field, f"cannot be {_kind_of(held)}{why}")


def _at(parsed: Any, steps: list[str]) -> Any:
    for step in steps:
        parsed = parsed[step[1:]] if step[0] == "." else parsed[int(step[1:-1])]
    return parsed


def _kind_of(value: Any) -> str:
    text = repr(value) if type(value) in (int, float, bool, str, type(None)) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "…"


def _report(
    found: Report, modules: Iterable[Module], slots: Iterable[Slot], storages: Iterable[Storage], make: type[Made]
) -> Made:
    """The report. modules, slots, storages: the long lists of what was found, which may be cut only."""
    if found.format != FORMAT or found.version != VERSION:
        raise msgspec.ValidationError("another format or version")
    snapshot = _snapshot(found, ModuleReader(modules), slots, storages)
    files = {os.path.realpath(each.file) for each in found.classes if each.file and os.path.isabs(each.file)}
    findings, ignored = (
        tuple(_at_its_file(each, files) for each in to_record(listed)) for listed in (found.findings, found.ignored)
    )
    report = make(snapshot, findings=findings, ignored=ignored, skipped=to_record(found.skipped), target=found.target)
    if (cost := found.cost) is not None:
        snapshot.once(COST, lambda: to_cost(cost))
    if to_record(found.totals) != report.totals:
        raise damaged("totals", "do not agree with the slots: the file was edited")
    return report


def _at_its_file(finding: Finding, files: set[str]) -> Finding:
    """A finding whose file was written relative to a folder, at that file, whatever the folder is today."""
    location = finding.location
    if location is None or location.path in files or location.file == location.path:
        return finding
    named = [file for file in files if file.endswith(f"{os.sep}{location.file}")]
    return finding._replace(location=Location(named[0], location.line)) if len(named) == 1 else finding


def _snapshot(
    found: Report, modules: ModuleReader, found_slots: Iterable[Slot], storages: Iterable[Storage]
) -> Snapshot:
    roots = found.model.roots
    if not roots:
        raise damaged("model.roots", "is missing")
    slots = SlotReader(found_slots, len(found.slots), modules)
    has_quantized = any(oddity.kind == "quantized" for oddity in found.marks)
    tensors = TensorReader(slots.tensors, len(found.storages), has_quantized=has_quantized)
    ties = to_record(found.declared_ties)
    snapshot = Snapshot(
        roots=roots,
        torch_version=found.producer.torch,
        module_columns=modules.columns,
        slot_columns=slots.columns,
        tensor_columns=tensors.columns,
        storage_columns=read_storages(storages, tensors.devices),
        interned=Interned(
            modules.types,
            tuple(tensors.devices),
            tensors.specs,
            tensors.memberships,
            modules.settings,
            to_record(found.classes),
        ),
        sharing=to_record(found.sharing),
        aliases=to_record(found.aliases),
        optimizers=to_record(found.optimizers),
        oddities=to_record(found.marks),
        declarations=tuple(
            tie._replace(pairs=(), undecided=None) if tie.pairs or tie.undecided == NO_SUCH_SLOTS else tie
            for tie in ties
        ),
        tp_plan=to_record(found.tp_plan),
        notes=to_record(found.notes),
        values=to_record(found.values),
        rank=found.rank,
        checksums=to_record(found.checksums),
    )
    for root in roots:
        if root not in modules.positions:
            raise damaged(f"root {root!r}", "is not among the modules")
    slots.check(snapshot)
    if snapshot.declared_ties != ties:
        raise damaged("declared_ties", "do not agree with the slots")
    _check_names(snapshot)
    _check_states(snapshot)
    snapshot = _with_run(snapshot, found, modules)
    return snapshot if found.ranks is None else snapshot.with_ranks(to_record(found.ranks))


def _with_run(snapshot: Snapshot, found: Report, modules: ModuleReader) -> Snapshot:
    if found.run is None:
        return snapshot
    count = len(snapshot.tensor_columns.specs)
    for number, each in enumerate(found.run.tensors):
        if each.tensor >= count:
            raise damaged(f"run.tensors[{number}].tensor", "is out of range")
    for number, ran in enumerate(found.run.modules):
        if ran.module not in modules.positions:
            raise damaged(f"run.modules[{number}]", f"names a module that is not there: {ran.module!r}")
    return snapshot.with_run(to_record(found.run))


def _check_states(snapshot: Snapshot) -> None:
    """That what is kept for each member of a group is there, and adds up."""
    for optimizer in snapshot.optimizers:
        for group in optimizer.groups:
            count, sums = len(group.state_of), [sum(each.nbytes for each in kept) for kept in group.states]
            if count not in (0, len(group.slots) + len(group.foreign)) or any(
                at >= len(sums) for at in group.state_of
            ):
                raise damaged(f"optimizer {optimizer.name!r}", "has state for other members than its own")
            if sum(map(sums.__getitem__, group.state_of)) != group.state_nbytes:
                raise damaged(f"optimizer {optimizer.name!r}", "has state that does not add up")


def _check_names(snapshot: Snapshot) -> None:
    """That every slot that is named is there."""
    named = [("values", each.path) for each in snapshot.values or ()]
    for sharing in snapshot.sharing:
        if not sharing.slots:
            raise damaged("sharing", "names no slot")
        named += [("sharing", path) for path in sharing.slots]
    for optimizer in snapshot.optimizers:
        named += [(f"optimizer {optimizer.name!r}", path) for group in optimizer.groups for path in group.slots]
    known = set(snapshot.slots) if named else ()
    for where, path in named:
        if path not in known:
            raise damaged(where, f"names a slot that is not there: {path!r}")
