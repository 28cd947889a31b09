"""Report → sums for a terminal: by status, dtype, device and top-level module."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from paramscope import text
from paramscope.analysis.tops import tops_of
from paramscope.render._line import PARAMETERS
from paramscope.render._page import COUNTED_ABOVE
from paramscope.render.terminal._layout import Screen, grid, joined, paint, sentence
from paramscope.render.terminal._page import note_lines, title, total_lines
from paramscope.report.data import ReportData

_LISTED = 50
"""Rows of a table."""


class _Sum(NamedTuple):
    """What some tensors come to, each counted once, where it is met first."""

    tensors: int = 0
    parameters: int = 0
    """Elements of registered parameters."""
    trainable: int = 0
    others: int = 0
    """Of all else."""
    nbytes: int = 0
    again: int = 0
    """Elements of parameters that are counted elsewhere."""

    @property
    def is_counted(self) -> bool:
        """Whether all that it holds was counted before."""
        return self.again > 0 and not self.tensors

    @property
    def elements(self) -> str:
        """Of parameters, as in the tree."""
        return f"({text.count(self.again)})" if self.is_counted else text.count(self.parameters)


def render(report: ReportData, *, width: int = 80, color: bool = False) -> str:
    """Sums of the whole model: each column adds up to the same in every table, but for what is in parentheses.
    Parameters are the registered ones; what else there is, buffers, hidden ones and attributes, has a column of its
    own. Both in elements.

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
    sums = {name: _shortened(_sums(report, counts, key)) for name, key in keys.items()}
    is_counted = any(each.is_counted for table in sums.values() for each in table.values())
    blocks = [
        title(report, width),
        *(_table(report, name, table, screen) for name, table in sums.items()),
        [paint(line, "legend", screen) for line in sentence([COUNTED_ABOVE], width)] if is_counted else [],
        total_lines(report, width),
        note_lines(report, width),
    ]
    return joined(blocks)


class _Key(NamedTuple):
    """What the tensors of one count have in common."""

    status: str
    spec: int
    top: str


def _counted(report: ReportData) -> dict[_Key, tuple[set[int], set[int]]]:
    """(new tensors, tensors that were counted before) of each kind."""
    snapshot = report.snapshot
    columns, specs = snapshot.slot_columns, snapshot.tensor_columns.specs
    tops = [top or "the root itself" for top in tops_of(snapshot)]
    counts: dict[_Key, tuple[set[int], set[int]]] = {}
    seen: set[int] = set()
    for slot, tensor in enumerate(columns.tensors):
        if tensor < 0:
            continue
        key = _Key(snapshot.status(slot), specs[tensor], tops[columns.modules[slot]])
        new, again = counts.setdefault(key, (set(), set()))
        (again if tensor in seen else new).add(tensor)
        seen.add(tensor)
    return counts


def _sums(
    report: ReportData, counts: dict[_Key, tuple[set[int], set[int]]], what: Callable[[_Key], str]
) -> dict[str, _Sum]:
    sums: dict[str, _Sum] = {}
    for key, (new, again) in counts.items():
        spec, tensors = report.snapshot.interned.specs[key.spec], len(new)
        elements = tensors * (spec.numel or 0)
        old = sums.get(what(key), _Sum())
        is_parameter = key.status in PARAMETERS
        sums[what(key)] = _Sum(
            old.tensors + tensors,
            old.parameters + (elements if is_parameter else 0),
            old.trainable + (elements if key.status == "trainable" else 0),
            old.others + (0 if is_parameter else elements),
            old.nbytes + tensors * (spec.nbytes or 0),
            old.again + (len(again - new) * (spec.numel or 0) if is_parameter else 0),
        )
    return sums


def _table(report: ReportData, name: str, sums: dict[str, _Sum], screen: Screen) -> list[str]:
    if not sums:
        return []
    rows = [
        [
            text.name(label),
            text.count(each.tensors),
            each.elements,
            f"{text.percent(each.parameters, report.totals.parameters)}%" if each.parameters else "",
            text.count(each.trainable),
            text.count(each.others),
            text.nbytes(each.nbytes),
        ]
        for label, each in sums.items()
    ]
    headers = [f"by {name}", "tensors", "parameters", "of all", "trainable", "other", "bytes"]
    return grid(list(zip(*rows, strict=True)), headers, right=range(1, len(headers)), screen=screen)


def _shortened(sums: dict[str, _Sum]) -> dict[str, _Sum]:
    """The first ones, and the rest in one."""
    if len(sums) <= _LISTED:
        return sums
    listed = list(sums.items())
    rest = [each for _, each in listed[_LISTED - 1 :]]
    last = _Sum(*(sum(column) for column in zip(*rest, strict=True)))
    return {**dict(listed[: _LISTED - 1]), f"{len(rest):,} others": last}
