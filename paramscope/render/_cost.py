"""What training takes → tables and sentences, the same for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from paramscope import text
from paramscope.analysis.cost import Cost, Foreseen, Sums
from paramscope.render._page import optimizer_title
from paramscope.render._pieces import Name, Pieces, Prose, joined
from paramscope.report.cost import cost_of
from paramscope.report.data import ReportData

_LISTED = 50
"""Rows of a table."""
_HOW = {
    "held": "state is there already",
    "measured": "state measured by a fresh one, on tensors without elements",
    "estimated": "state estimated",
    "unknown": "state unknown",
}


class Table(NamedTuple):
    """Cells of which all but the first of each row are figures."""

    headers: list[str]
    rows: list[list[Pieces]]


def tables(report: ReportData) -> list[Table]:
    """The whole, now and at the first step; then what it is at the first step, where that differs, by dtype, device
    and module."""
    now = cost_of(report)
    first = now.at_first_step or now
    rows: list[list[Pieces]] = [
        [[part.replace("_", " ")], [_now(now, part)], [size(getattr(first, part))]] for part in Sums._fields
    ]
    rows.append([["total"], [size(now.total)], [size(first.total)]])
    by = {
        "dtype": first.by_dtype,
        "device": first.by_device,
        "root" if len(report.snapshot.roots) > 1 else "module": first.by_module,
    }
    split = [_table(name, shortened(sums, _LISTED)) for name, sums in by.items() if len(sums) > 1]
    return [Table(["bytes", "now", "at the first step"], rows), *split]


def _now(now: Cost, part: str) -> str:
    # Nothing is kept for backward between two steps, or it cannot be seen.
    return "" if part == "activations" else size(getattr(now, part))


def size(number: int | None) -> str:
    """Bytes, where they are known."""
    return "unknown" if number is None else text.nbytes(number)


def _table(name: str, sums: Mapping[str, Sums]) -> Table:
    parts = [part for part in Sums._fields if any(getattr(each, part) for each in sums.values())]
    rows: list[list[Pieces]] = [
        [
            [Name(label) if label else "the root itself"],
            *([size(getattr(each, part))] for part in parts),
            [size(each.total)],
        ]
        for label, each in sums.items()
    ]
    return Table([f"by {name}", *(part.removeprefix("optimizer_") for part in parts), "total"], rows)


def shortened(sums: Mapping[str, Sums], most: int) -> Mapping[str, Sums]:
    """The first ones, and the rest in one."""
    if len(sums) <= most:
        return sums
    listed = list(sums.items())
    rest = [each for _, each in listed[most - 1 :]]
    last = Sums(*(None if None in column else sum(filter(None, column)) for column in zip(*rest, strict=True)))
    return {**dict(listed[: most - 1]), f"{len(rest):,} others": last}


def remarks(report: ReportData) -> list[Pieces]:
    """How it is known, what is taken for granted, and what is unknown."""
    first = cost_of(report).at_first_step
    if first is None:
        return []
    return [*foreseen_remarks(report, first.foreseen), *unknown_remark(first.unknown)]


def foreseen_remarks(report: ReportData, foreseen: Sequence[Foreseen]) -> list[Pieces]:
    """How the state of each optimizer is known, and what is taken for granted."""
    assumed = "what the loss reaches" if report.run else "as if the loss reached all that is trainable"
    told = zip(report.optimizers, foreseen, strict=True)
    return [*(_told(optimizer_title(each), how) for each, how in told), [f"at the first step: {assumed}"]]


def unknown_remark(unknown: Mapping[str, str]) -> list[Pieces]:
    """What is not in a total, and why."""
    told: list[Pieces] = [[f"{part.replace('_', ' ')} (", Prose(why), ")"] for part, why in unknown.items()]
    return [["not in the total: ", *joined(told)]] if told else []


def _told(title: Pieces, foreseen: Foreseen) -> Pieces:
    return [*title, f": {_HOW[foreseen.how]}", *([": ", Prose(foreseen.why)] if foreseen.why else [])]
