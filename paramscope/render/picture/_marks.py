"""Findings → which places, tensors and groups of the graph they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from paramscope.render.picture._places import Places
from paramscope.report.finding_codes import Named

if TYPE_CHECKING:
    from paramscope.report.data import ReportData


class Codes(NamedTuple):
    """Codes of findings, most severe first."""

    modules: dict[int, tuple[str, ...]]
    """By position of the place."""
    tensors: dict[int, tuple[str, ...]]
    """By position in `Places.held`."""
    groups: dict[tuple[str, int], tuple[str, ...]]
    """By name of the optimizer and index of the group."""


def codes_by_node(report: ReportData, tree: Places, found: Named) -> Codes:
    """The findings of a report at the nodes they name."""
    if not report.findings:
        return Codes({}, {}, {})
    of_modules = {
        number: codes
        for number, place in enumerate(tree.places)
        if found.modules and (codes := _codes(found.modules, place.node.modules))
    }
    of_tensors = {
        number: codes
        for number, held in enumerate(tree.held)
        if found.slots
        and (codes := _codes(found.slots, [slot for row in held.rows for slot in tree.rows[row].slots]))
    }
    groups: dict[tuple[str, int], tuple[str, ...]] = {}
    for optimizer in report.optimizers:
        for group in optimizer.groups:
            starts = tuple(
                f"optimizer[{name}].groups[{group.index}]" for name in (optimizer.name, repr(optimizer.name))
            )
            there = [code for path, each in found.others.items() if path.startswith(starts) for code in each]
            if there:
                groups[optimizer.name, group.index] = tuple(dict.fromkeys(there))
    return Codes(of_modules, of_tensors, groups)


def _codes(codes: dict[int, tuple[str, ...]], positions: list[int]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(code for position in positions for code in codes.get(position, ())))
