"""Report → JSON, version 1."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from paramscope.wire import FORMAT, VERSION
from paramscope.wire.fields import LISTS, SLOT, TOTALS, write_record
from paramscope.wire.kinds import same

if TYPE_CHECKING:
    from paramscope.report import Report


def write_report(report: Report) -> str:
    """The report as JSON text on one line, with what is not ASCII escaped."""
    return json.dumps(report_to_dict(report), separators=(",", ":"), allow_nan=False)


def report_to_dict(report: Report) -> dict[str, Any]:
    """The report as dicts, lists, numbers and strings."""
    from paramscope import __version__

    snapshot = report.snapshot
    roots = [snapshot.modules[path] for path in snapshot.roots]
    modes = {root.training for root in roots}
    lists: dict[str, Any] = {
        "modules": snapshot.modules.records(),
        "storages": map(snapshot.storage, range(len(snapshot.storage_columns.nbytes))),
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
    written: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "producer": {"paramscope": __version__, "torch": snapshot.torch_version},
        "target": report.target,
        "model": {
            "type": " + ".join(root.type for root in roots),
            "training": modes.pop() if len(modes) == 1 else None,
            "roots": list(snapshot.roots),
        },
        "totals": write_record(TOTALS, report.totals),
    }
    for key, table in LISTS.items():
        if key == "slots":
            written[key] = _slots(report)
        else:
            written[key] = [write_record(table, record) for record in lists[key]]
    return written


def _slots(report: Report) -> list[dict[str, Any]]:
    """Slots are many: their records lie in the table's order, so only what needs converting is touched."""
    names = [field.name for field in SLOT.fields]
    converted = [(field.name, field.kind.write) for field in SLOT.fields if field.kind.write is not same]
    written = []
    for record in report.slots.records():
        each = dict(zip(names, record, strict=True))
        for name, write in converted:
            each[name] = write(each[name])
        written.append(each)
    return written
