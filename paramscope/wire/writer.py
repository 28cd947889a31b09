"""Report → JSON, version 1: one line, with what is not ASCII escaped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any

from paramscope.collector import paused_collector
from paramscope.snapshot import Snapshot, slot_path
from paramscope.version import __version__
from paramscope.wire.records import FORMAT, VERSION, Report, to_plain

if TYPE_CHECKING:
    from paramscope.analysis.cost import Cost
    from paramscope.report.data import ReportData

quote: Callable[[str], str] = encode_basestring_ascii
"""A string as JSON."""
_AT_FIRST = 1_000
"""Records whose text is put together before it is added to the rest: less than a megabyte."""


def write_report(report: ReportData, *, cost: Cost | None = None, end: str = "") -> str:
    """The report as JSON text. cost: what training takes, if that is to be in it. end: what is to stand behind it,
    such as a line break."""
    with paused_collector():
        return as_text(chain(report_pieces(report, cost), (end,)))


def as_text(pieces: Iterable[str]) -> str:
    """Many pieces as one text, which takes little more memory than the text.

    NOTE: `"".join` holds all pieces beside the text. CPython extends a string in place where nothing but one local
    variable holds it, in a `for` loop that nobody traces. Elsewhere the text is copied each time: so it grows by a
    sixteenth each time, and is copied seventeen times in all.
    """
    text = ""
    for part in _growing(iter(pieces)):
        text += part
    return text


def _growing(pieces: Iterator[str]) -> Iterator[str]:
    count = _AT_FIRST
    while part := "".join(islice(pieces, count)):
        yield part
        count += count // 16


def report_pieces(report: ReportData, cost: Cost | None = None) -> Iterator[str]:
    """The same, piece by piece: no list is ever held as text."""
    snapshot = report.snapshot
    roots = [snapshot.modules[path] for path in snapshot.roots]
    modes = {root.training for root in roots}
    if snapshot.storage_columns.nbytes:
        snapshot.storage(0)  # works out something for all of them: here, while there is no text beside it
    written: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "producer": {"paramscope": __version__, "torch": snapshot.torch_version},
        "target": report.target,
        "model": {
            "type": " + ".join(root.type for root in roots),
            "training": modes.pop() if len(modes) == 1 else None,
            "roots": snapshot.roots,
        },
        "totals": report.totals,
        "modules": _modules(snapshot),
        "slots": _slots(snapshot),
        "storages": _storages(snapshot),
        "sharing": snapshot.sharing,
        "aliases": snapshot.aliases,
        "optimizers": snapshot.optimizers,
        "classes": snapshot.interned.classes,
        "marks": snapshot.oddities,
        "declared_ties": snapshot.declared_ties,
        "tp_plan": snapshot.tp_plan,
        "notes": snapshot.notes,
        "findings": report.findings,
        "ignored": report.ignored,
        "skipped": report.skipped,
        "values": snapshot.values,
        "run": snapshot.run,
        "rank": snapshot.rank,
        "checksums": snapshot.checksums,
        "ranks": snapshot.ranks,
        "cost": cost,
    }
    before = "{"
    for name in Report.__struct_fields__:
        value = written[name]
        yield f'{before}"{name}":'
        if type(value) is tuple:
            yield from _listed(map(_text, value))
        else:
            yield from _listed(value) if isinstance(value, Iterator) else (_text(value),)
        before = ","
    yield "}"


def _text(value: Any) -> str:
    return json.dumps(to_plain(value), separators=(",", ":"), allow_nan=False)


def _listed(texts: Iterable[str]) -> Iterator[str]:
    before = "["
    for text in texts:
        yield before + text
        before = ","
    yield "]" if before == "," else "[]"


class _Alike:
    """Writes records by what they have in common with others: it is made into text once, with gaps for the fields
    that each has of its own.

    It saves two thirds of the time: 11 µs a slot for the dict and its text.
    """

    def __init__(self, own: tuple[str, ...], record_at: Callable[[int], Any]) -> None:
        """own: names of the fields with gaps. record_at: the record at a position."""
        self._own = own
        self._record_at = record_at
        self._known: dict[Any, Callable[..., str]] = {}

    def text(self, index: int, kind: Any, *own: object) -> str:
        """The record at a position. kind: equal for those that differ in their own fields alone. own: these, as JSON
        texts."""
        write = self._known.get(kind)
        if write is None:
            write = self._known[kind] = self._template(self._record_at(index))
        return write(*own)

    def _template(self, record: Any) -> Callable[..., str]:
        parts = []
        for name, value in to_plain(record).items():
            text = _text(value).replace("{", "{{").replace("}", "}}")
            parts.append(f'"{name}":{{{self._own.index(name)}}}' if name in self._own else f'"{name}":{text}')
        return ("{{" + ",".join(parts) + "}}").format


def _modules(snapshot: Snapshot) -> Iterator[str]:
    columns = snapshot.module_columns
    alike = _Alike(("path", "object"), snapshot.modules.at)
    for index, path in enumerate(columns.paths):
        kind = (columns.types[index], columns.flags[index], columns.settings[index], columns.unknown.get(index))
        yield alike.text(index, kind, quote(path), columns.repeats.get(index, index))


def _slots(snapshot: Snapshot) -> Iterator[str]:
    slots, modules, tensors = snapshot.slot_columns, snapshot.module_columns, snapshot.tensor_columns
    alike = _Alike(("path", "module", "name", "offset", "tensor", "storage"), snapshot.slots.at)
    for index, tensor in enumerate(slots.tensors):
        module, name, hold = slots.modules[index], slots.names[index], slots.holds[index]
        owner = modules.paths[module]
        common: Any = None
        offset: object = "null"
        storage = -1
        if tensor >= 0:
            if tensor in tensors.parts:
                yield _text(snapshot.slots.at(index))
                continue
            storage = tensors.storages[tensor]
            declared = snapshot.declared_shape(module, name)
            common = (tensors.specs[tensor], tensors.flags[tensor], tensors.memberships[tensor], declared)
            offset = "null" if storage < 0 else tensors.offsets[tensor]
        yield alike.text(
            index,
            (hold, common, modules.flags[module], modules.unknown.get(module)),
            quote(slot_path(owner, name, hold)),
            quote(owner),
            quote(name),
            offset,
            "null" if tensor < 0 else tensor,
            "null" if storage < 0 else storage,
        )


def _storages(snapshot: Snapshot) -> Iterator[str]:
    alike = _Alike(("number", "nbytes", "memory", "start", "saved"), snapshot.storage)
    for index, device in enumerate(snapshot.storage_columns.devices):
        record = snapshot.storage(index)
        saved = "null" if record.saved is None else record.saved
        yield alike.text(index, device, index, record.nbytes, record.memory, record.start, saved)
