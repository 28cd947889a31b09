"""Report → sums for a terminal: by status, dtype, device and top-level module."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from paramscope import text
from paramscope.render._layout import Screen, grid
from paramscope.render._totals import note_lines, title, total_lines
from paramscope.report import Report
from paramscope.snapshot import SlotRecord

_STEP = re.compile(r"\.|\[|\{|->|::")


class _Sum(NamedTuple):
    """What some tensors come to, each counted once."""

    tensors: int
    elements: int
    trainable: int
    nbytes: int


def render(report: Report, *, width: int = 80, color: bool = False) -> str:
    """Sums of the whole model.

    width: terminal columns that no line passes. color: ANSI colours.
    """
    screen = Screen(width, color)
    roots = len(report.snapshot.roots) > 1
    blocks = [
        title(report, width),
        _table(report, "status", lambda slot: slot.status, screen),
        _table(report, "dtype", lambda slot: slot.dtype or "unknown", screen),
        _table(report, "device", lambda slot: slot.device or "unknown", screen),
        _table(report, "root" if roots else "module", _top(report), screen),
        total_lines(report, width, 0),
        note_lines(report, width),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _top(report: Report) -> Callable[[SlotRecord], str]:
    """The first step of a path; the root's name where there are several."""
    roots = sorted(report.snapshot.roots, key=len, reverse=True)

    def top(slot: SlotRecord) -> str:
        if len(roots) > 1:
            return next(root for root in roots if slot.module == root or slot.module.startswith(f"{root}."))
        if not slot.module:
            return "the root itself"
        return _STEP.split(slot.module, maxsplit=1)[0]

    return top


def _table(report: Report, name: str, key: Callable[[SlotRecord], str], screen: Screen) -> list[str]:
    sums: dict[str, _Sum] = {}
    seen: set[int] = set()
    for slot in report.slots.records():
        if slot.tensor is None or slot.status == "empty":
            continue
        what = key(slot)
        old = sums.setdefault(what, _Sum(0, 0, 0, 0))
        if slot.tensor in seen:
            continue
        seen.add(slot.tensor)
        numel = slot.numel or 0
        sums[what] = _Sum(
            old.tensors + 1,
            old.elements + numel,
            old.trainable + (numel if slot.trainable else 0),
            old.nbytes + (slot.nbytes or 0),
        )
    if not sums:
        return []
    whole = sum(each.elements for each in sums.values())
    rows = [
        [
            text.name(what),
            text.count(each.tensors),
            text.count(each.elements),
            f"{text.share(each.elements, whole)}%",
            text.count(each.trainable),
            text.nbytes(each.nbytes),
        ]
        for what, each in sums.items()
    ]
    headers = [f"by {name}", "tensors", "elements", "of all", "trainable", "bytes"]
    return grid(list(zip(*rows, strict=True)), headers, right=(1, 2, 3, 4, 5), screen=screen)
