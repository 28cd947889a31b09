"""What training takes → tables and sentences, the same for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Mapping
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
        [[part.replace("_", " ")], [_now(now, part)], [_bytes(getattr(first, part))]] for part in Sums._fields
    ]
    rows.append([["total"], [_bytes(now.total)], [_bytes(first.total)]])
    by = {
        "dtype": first.by_dtype,
        "device": first.by_device,
        "root" if len(report.snapshot.roots) > 1 else "module": first.by_module,
    }
    split = [_table(name, shortened(sums, _LISTED)) for name, sums in by.items() if len(sums) > 1]
    return [Table(["bytes", "now", "at the first step"], rows), *split]


def _now(now: Cost, part: str) -> str:
    # Nothing is kept for backward between two steps, or it cannot be seen.
    return "" if part == "activations" else _bytes(getattr(now, part))


def _bytes(number: int | None) -> str:
    return "unknown" if number is None else text.nbytes(number)


def _table(name: str, sums: Mapping[str, Sums]) -> Table:
    parts = [part for part in Sums._fields if any(getattr(each, part) for each in sums.values())]
    rows: list[list[Pieces]] = [
        [
            [Name(label) if label else "the root itself"],
            *([_bytes(getattr(each, part))] for part in parts),
            [_bytes(each.total)],
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
    told = zip(report.optimizers, first.foreseen, strict=True)
    assumed = "what the loss reaches" if report.run else "as if the loss reached all that is trainable"
    found = [*(_told(optimizer_title(each), foreseen) for each, foreseen in told), [f"at the first step: {assumed}"]]
    unknown: list[Pieces] = [[f"{part.replace('_', ' ')} (", Prose(why), ")"] for part, why in first.unknown.items()]
    return [*found, ["not in the total: ", *joined(unknown)]] if unknown else found


def _told(title: Pieces, foreseen: Foreseen) -> Pieces:
    return [*title, f": {_HOW[foreseen.how]}", *([": ", Prose(foreseen.why)] if foreseen.why else [])]
