"""Report → what the page's script reads: columns of small numbers, packed, and the values that they point at.

A hundred thousand slots take some four megabytes so, and little of them has to be parsed before it is shown.
"""

from __future__ import annotations

import base64
import json
import sys
from array import array
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

from paramscope import text
from paramscope.analysis.cost import Sums
from paramscope.analysis.fold import Node, fold_tree
from paramscope.analysis.nbytes import nbytes_by
from paramscope.render import _page as page
from paramscope.render._chosen import STATUSES
from paramscope.render._columns import letters
from paramscope.render._findings import by_severity
from paramscope.render._lines import SHARING_GLYPHS
from paramscope.render._pieces import flat
from paramscope.render._ran import update_of
from paramscope.report.cost import cost_of, nbytes_by_slot
from paramscope.report.data import ReportData
from paramscope.report.finding_codes import folded, named
from paramscope.snapshot import SlotRecord

_BETWEEN = "\x1f"
"""Stands between groups of one slot: no name that is shown holds it."""
NOT_STEPPED = "trains, and in no group"
_TYPES = {"u8": ("B", 2**8), "u16": ("H", 2**16), "u32": ("I", 2**32)}
_RUN: dict[str, Callable[[SlotRecord], Any]] = {
    "reached": lambda slot: {None: "", True: "yes", False: "no"}[slot.reached],
    "grad": lambda slot: slot.grad or "",
}
_FIGURES: dict[str, Callable[[SlotRecord], float | None]] = {"norm": lambda slot: slot.grad_norm, "update": update_of}


def script_data(
    report: ReportData, start: Mapping[str, str], *, cost: bool, depth: int | None, changes: Mapping[str, str] | None
) -> str:
    """JSON that stands in a script element and cannot end it; its options are those of the page."""
    found: dict[str, Any] = {
        "title": flat(page.title(report)),
        "start": dict(start),
        "totals": report.totals.parameters,
        "kind": report.run.kind if report.run else None,
        "stepped": bool(report.optimizers),
        "depth": depth,
        "modules": _modules(report),
        "slots": _slots(report),
        "lines": _lines(_folded(report, changes)),
        "findings": _findings(report),
        "sharing": _sharing(report),
    }
    if cost:
        taken = nbytes_by_slot(report)
        found["slots"]["cost"] = _coded(taken.get(path, 0) for path in report.slots)
        found["cost"] = _cost(report)
    if changes is not None:
        found["slots"]["change"] = _coded(changes.get(path, "unchanged") for path in report.slots)
    # NOTE: `<` ends the element, or opens a comment in it; JSON may write it so, too.
    return json.dumps(found, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _folded(report: ReportData, changes: Mapping[str, str] | None) -> list[Node]:
    """The folded tree, in which what changed otherwise stands apart."""
    if changes is None:
        return folded(report.snapshot, named(report))
    slots = report.slots
    return fold_tree(report.snapshot, {slots.position(path): word for path, word in changes.items() if path in slots})


def _modules(report: ReportData) -> dict[str, Any]:
    snapshot = report.snapshot
    paths, parents = snapshot.module_columns.paths, snapshot.tree.parents
    above = [paths[parent] if parent >= 0 else "" for parent in parents]
    types = [text.name(text.class_name(each)) for each in snapshot.interned.types]
    found = {
        "parent": _packed([parent + 1 for parent in parents]),
        "name": _coded(map(_below, paths, above)),
        "type": _coded(map(types.__getitem__, snapshot.module_columns.types)),
        # A module under another path ran no second time.
        "first": _packed([int(module not in snapshot.module_columns.repeats) for module in range(len(paths))]),
    }
    if report.run:
        ran = [snapshot.run_of_module(module) for module in range(len(paths))]
        found["calls"] = _packed([each.calls if each else 0 for each in ran])
        found["output"] = _coded(text.name(each.output) if each else "" for each in ran)
        found["flops"] = _coded(each.flops if each else 0 for each in ran)
        found["kept"] = _coded(each.activation_bytes if each else 0 for each in ran)
    return found


def _slots(report: ReportData) -> dict[str, Any]:
    snapshot, columns = report.snapshot, report.snapshot.slot_columns
    records = list(report.slots.records())
    first: dict[int, int] = {}
    for slot, tensor in enumerate(columns.tensors):
        first.setdefault(tensor, slot)
    paths = snapshot.module_columns.paths
    own = nbytes_by(snapshot, range(len(snapshot.tensor_columns.specs)))
    found = {
        "module": _packed(columns.modules),
        "name": _coded(map(_below, report.slots, map(paths.__getitem__, columns.modules))),
        "role": _coded(slot.role for slot in records),
        "status": _coded((slot.status for slot in records), STATUSES),
        "shape": _coded(_shape(slot) for slot in records),
        "dtype": _coded(slot.dtype or "" for slot in records),
        "device": _coded(slot.device or "" for slot in records),
        "fates": _coded(map(letters, records)),
        "groups": _coded(_groups(slot) for slot in records),
        "elements": _coded(slot.numel for slot in records),
        # Of a tensor what no tensor before it reaches, in the first slot that holds it: sums count each byte once.
        "bytes": _coded(own[tensor] if first[tensor] == slot else 0 for slot, tensor in enumerate(columns.tensors)),
        "first": _packed([int(first[tensor] == slot) for slot, tensor in enumerate(columns.tensors)]),
    }
    if report.run:
        found |= {name: _coded(map(tell, records)) for name, tell in _RUN.items()}
        found |= {name: _figures(map(tell, records)) for name, tell in _FIGURES.items()}
    return found


def _lines(roots: list[Node]) -> dict[str, Any]:
    """The folded tree, each module before what it holds: `kind` is 0 for modules, 1 for slots."""
    kinds, depths, labels, counts, members = [], [], [], [], array("I")
    stack: list[tuple[Any, int]] = [(node, 0) for node in reversed(roots)]
    while stack:
        each, depth = stack.pop()
        is_module = isinstance(each, Node)
        held = each.modules if is_module else each.slots
        kinds.append(int(not is_module))
        depths.append(depth)
        labels.append(text.name(each.path))
        counts.append(len(held))
        members.extend(held)
        if is_module:
            stack.extend((child, depth + 1) for child in reversed(each.children))
            stack.extend((row, depth + 1) for row in reversed(each.rows))
    return {
        "kind": _packed(kinds),
        "depth": _packed(depths),
        "label": labels,
        "count": _packed(counts),
        "member": _packed(members),
    }


def _findings(report: ReportData) -> list[dict[str, Any]]:
    slots, modules = report.slots, report.modules
    found = []
    for each in by_severity(report.findings):
        where = each.location
        found.append(
            {
                "severity": each.severity.value,
                "code": text.name(each.code),
                "name": text.name(each.name),
                "message": text.plain(each.message),
                "help": text.plain(each.help or ""),
                "place": text.name(f"{where.file}:{where.line}") if where else "",
                "paths": [text.name(path) if path else "the root" for path in each.paths],
                "slots": [slots.position(path) if path in slots else -1 for path in each.paths],
                "modules": [modules.position(path) if path in modules else -1 for path in each.paths],
            }
        )
    return found


def _sharing(report: ReportData) -> list[dict[str, Any]]:
    return [
        {
            "kind": record.kind,
            "glyph": SHARING_GLYPHS[record.kind],
            "slots": report.slots.positions(record.slots),
            "bytes": record.nbytes,
        }
        for record in report.sharing
    ]


def _cost(report: ReportData) -> dict[str, Any]:
    """Bytes of each part at the first step, by module."""
    now = cost_of(report)
    sums = (now.at_first_step or now).by_module
    return {
        "parts": [part.replace("_", " ") for part in Sums._fields],
        "modules": [text.name(name) or "the root" for name in sums],
        "bytes": [[number or 0 for number in each] for each in sums.values()],
    }


def _below(path: str, above: str) -> str:
    """What a path adds to that of the module above, dot included."""
    return text.name(path[len(above) :] if path.startswith(above) else path)


def _shape(slot: SlotRecord) -> str:
    return "" if slot.status == "empty" else text.shape(slot.shape)


def _groups(slot: SlotRecord) -> str:
    if not slot.groups and slot.gradient and slot.stepped is False:
        return NOT_STEPPED
    return _BETWEEN.join(f"{text.name(each.optimizer)}:{each.group}" for each in slot.groups)


def _coded(values: Iterable[Hashable], known: Sequence[Hashable] = ()) -> dict[str, Any]:
    """Each distinct value once, and for each value where that is."""
    codes = {value: code for code, value in enumerate(known)}
    found = [codes.setdefault(value, len(codes)) for value in values]
    return {"values": list(codes), "codes": _packed(found)}


def _packed(numbers: Sequence[int]) -> list[str]:
    """Numbers that are not negative, each in as many bytes as the largest takes."""
    most = max(numbers, default=0)
    kind = next(kind for kind, (_, end) in _TYPES.items() if most < end)
    return [kind, _bytes(array(_TYPES[kind][0], numbers))]


def _figures(numbers: Iterable[float | None]) -> list[str]:
    """Numbers of any size, in 24 bits; NaN for what is not known."""
    return ["f32", _bytes(array("f", (float("nan") if number is None else number for number in numbers)))]


def _bytes(numbers: array[Any]) -> str:
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()
