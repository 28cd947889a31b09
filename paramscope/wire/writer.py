"""Report → JSON, version 1."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from paramscope.collector import paused_collector
from paramscope.version import __version__
from paramscope.wire import FORMAT, VERSION
from paramscope.wire.fields import LISTS, TOTALS, VALUE, write_record
from paramscope.wire.many import modules_text, storages_text
from paramscope.wire.slots import slots_text

if TYPE_CHECKING:
    from paramscope.report.data import ReportData


def write_report(report: ReportData) -> str:
    """The report as JSON text on one line, with what is not ASCII escaped."""
    parts = []
    with paused_collector():
        for key, value in _pieces(report):
            write = _MANY.get(key)
            parts.append(f'"{key}":{_dumps(value) if write is None else write(report.snapshot)}')
    return f"{{{','.join(parts)}}}"


_MANY = {"modules": modules_text, "slots": slots_text, "storages": storages_text}
"""What writes the lists that are long."""


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _pieces(report: ReportData) -> Iterator[tuple[str, Any]]:
    """What a report's JSON holds, key by key; the long lists are written by themselves."""
    snapshot = report.snapshot
    roots = [snapshot.modules[path] for path in snapshot.roots]
    modes = {root.training for root in roots}
    lists: dict[str, Any] = {
        "sharing": snapshot.sharing,
        "aliases": snapshot.aliases,
        "optimizers": snapshot.optimizers,
        "classes": snapshot.interned.classes,
        "marks": snapshot.marks,
        "declared_ties": snapshot.declared_ties,
        "notes": snapshot.notes,
        "findings": report.findings,
        "ignored": report.ignored,
        "skipped": report.skipped,
    }
    yield "format", FORMAT
    yield "version", VERSION
    yield "producer", {"paramscope": __version__, "torch": snapshot.torch_version}
    yield "target", report.target
    yield (
        "model",
        {
            "type": " + ".join(root.type for root in roots),
            "training": modes.pop() if len(modes) == 1 else None,
            "roots": list(snapshot.roots),
        },
    )
    yield "totals", write_record(TOTALS, report.totals)
    for key, table in LISTS.items():
        yield key, [write_record(table, record) for record in lists.get(key, ())]
    values = snapshot.values
    yield "values", None if values is None else [write_record(VALUE, record) for record in values]
