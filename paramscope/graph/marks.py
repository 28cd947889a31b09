"""Findings → which places, tensors and groups of the graph they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from paramscope.graph.places import Places

if TYPE_CHECKING:
    from paramscope.report import Report


class Codes(NamedTuple):
    """Codes of findings, most severe first."""

    modules: dict[int, tuple[str, ...]]
    """By position of the place."""
    tensors: dict[int, tuple[str, ...]]
    """By position in `Places.held`."""
    groups: dict[tuple[str, int], tuple[str, ...]]
    """By name of the optimizer and index of the group."""


def codes_by_node(report: Report, tree: Places) -> Codes:
    """The findings of a report at the nodes they name."""
    if not report.findings:
        return Codes({}, {}, {})
    slots: dict[int, list[str]] = {}
    modules: dict[int, list[str]] = {}
    groups: dict[tuple[str, int], tuple[str, ...]] = {}
    prefixes = {
        (optimizer.name, group.index): tuple(
            f"optimizer[{name}].groups[{group.index}]" for name in (optimizer.name, repr(optimizer.name))
        )
        for optimizer in report.optimizers
        for group in optimizer.groups
    }
    for finding in report.findings:
        for path in finding.paths:
            if path in report.slots:
                slots.setdefault(report.slots.position(path), []).append(finding.code)
            elif path in report.modules:
                modules.setdefault(report.modules.position(path), []).append(finding.code)
            else:
                for key, starts in prefixes.items():
                    if path.startswith(starts):
                        groups[key] = tuple(dict.fromkeys((*groups.get(key, ()), finding.code)))
    of_modules = {
        number: found
        for number, place in enumerate(tree.places)
        if modules and (found := _codes(modules, place.node.modules))
    }
    of_tensors = {
        number: found
        for number, held in enumerate(tree.held)
        if slots and (found := _codes(slots, [slot for row in held.rows for slot in tree.rows[row].slots]))
    }
    return Codes(of_modules, of_tensors, groups)


def _codes(codes: dict[int, list[str]], positions: list[int]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(code for position in positions for code in codes.get(position, ())))
