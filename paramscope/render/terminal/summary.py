"""Report → sums for a terminal: by status, dtype, device and top-level module."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from paramscope import text
from paramscope.render.terminal._layout import Screen, grid, joined
from paramscope.render.terminal._page import note_lines, title, total_lines
from paramscope.report.data import ReportData
from paramscope.snapshot import REGISTERED

_LISTED = 50
"""Rows of a table."""
_STEP = re.compile(r"\.|\[|\{|->|::")


class _Sum(NamedTuple):
    """What some tensors come to, each counted once, where it is met first."""

    tensors: int = 0
    elements: int = 0
    trainable: int = 0
    nbytes: int = 0


def render(report: ReportData, *, width: int = 80, color: bool = False) -> str:
    """Sums of the whole model.

    width: terminal columns that no line passes. color: ANSI colours.
    """
    screen = Screen(width, color)
    counts = _counted(report)
    specs = report.snapshot.interned.specs
    keys: dict[str, Callable[[_Key], str]] = {
        "status": lambda key: key.status,
        "dtype": lambda key: specs[key.spec].dtype or "unknown",
        "device": lambda key: specs[key.spec].device or "unknown",
        "root" if len(report.snapshot.roots) > 1 else "module": lambda key: key.top,
    }
    tables = (_table(report, name, counts, key, screen) for name, key in keys.items())
    return joined([title(report, width), *tables, total_lines(report, width), note_lines(report, width)])


class _Key(NamedTuple):
    """What the tensors of one count have in common."""

    status: str
    spec: int
    top: str


def _counted(report: ReportData) -> dict[_Key, list[int]]:
    """[new tensors, all slots] of each kind."""
    snapshot = report.snapshot
    columns, specs = snapshot.slot_columns, snapshot.tensor_columns.specs
    modules = snapshot.module_columns
    tops = list(map(_top(report), modules.paths, modules.flags))
    counts: dict[_Key, list[int]] = {}
    seen: set[int] = set()
    for slot, tensor in enumerate(columns.tensors):
        if tensor < 0:
            continue
        key = _Key(snapshot.status(slot), specs[tensor], tops[columns.modules[slot]])
        count = counts.setdefault(key, [0, 0])
        count[1] += 1
        if tensor not in seen:
            seen.add(tensor)
            count[0] += 1
    return counts


def _top(report: ReportData) -> Callable[[str, int], str]:
    """The first step of a module's path; the root's name where there are several."""
    roots = sorted(report.snapshot.roots, key=len, reverse=True)

    def top(module: str, flags: int) -> str:
        if len(roots) > 1:
            # A hidden module lies behind another step than a dot.
            return next(
                (
                    root
                    for root in roots
                    if _STEP.split(module[len(root) :], maxsplit=1)[0] == "" and module.startswith(root)
                ),
                module,
            )
        if not module:
            return "the root itself"
        # Of what is registered only a dot is a step: its names may hold anything else.
        return module.partition(".")[0] if flags & REGISTERED else _STEP.split(module, maxsplit=1)[0]

    return top


def _table(
    report: ReportData, name: str, counts: dict[_Key, list[int]], what: Callable[[_Key], str], screen: Screen
) -> list[str]:
    sums: dict[str, _Sum] = {}
    for key, (tensors, _) in counts.items():
        spec = report.snapshot.interned.specs[key.spec]
        elements = tensors * (spec.numel or 0)
        old = sums.get(what(key), _Sum())
        sums[what(key)] = _Sum(
            old.tensors + tensors,
            old.elements + elements,
            old.trainable + (elements if key.status == "trainable" else 0),
            old.nbytes + tensors * (spec.nbytes or 0),
        )
    if not sums:
        return []
    whole = sum(each.elements for each in sums.values())
    rows = [
        [
            text.name(label),
            text.count(each.tensors),
            text.count(each.elements),
            f"{text.share(each.elements, whole)}%",
            text.count(each.trainable),
            text.nbytes(each.nbytes),
        ]
        for label, each in _shortened(sums).items()
    ]
    headers = [f"by {name}", "tensors", "elements", "of all", "trainable", "bytes"]
    return grid(list(zip(*rows, strict=True)), headers, right=(1, 2, 3, 4, 5), screen=screen)


def _shortened(sums: dict[str, _Sum]) -> dict[str, _Sum]:
    """The first ones, and the rest in one."""
    if len(sums) <= _LISTED:
        return sums
    listed = list(sums.items())
    rest = [each for _, each in listed[_LISTED - 1 :]]
    last = _Sum(*(sum(column) for column in zip(*rest, strict=True)))
    return {**dict(listed[: _LISTED - 1]), f"{len(rest):,} others": last}
