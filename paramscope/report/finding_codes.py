"""Findings → codes at the slots and modules that they name."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from paramscope import text
from paramscope.analysis.fold import Node, Told, fold_tree

if TYPE_CHECKING:
    from paramscope.report.data import ReportData
    from paramscope.snapshot import Snapshot

Place = TypeVar("Place", int, str)

SHOWN = 2
"""Codes that one line shows before it counts the rest."""


class Named(NamedTuple):
    """Codes of findings by what they name, the most severe first."""

    slots: dict[int, tuple[str, ...]]
    """By position of the slot."""
    modules: dict[int, tuple[str, ...]]
    """By position of the module."""
    others: dict[str, tuple[str, ...]]
    """By path of what is neither, such as a group of an optimizer."""


def named(report: ReportData) -> Named:
    """Where the findings of a report belong."""
    found = Named({}, {}, {})
    slots, modules = report.slots, report.modules
    for finding in sorted(report.findings, key=lambda each: -each.severity.rank):
        for path in finding.paths:
            if path in slots:
                _add(found.slots, slots.position(path), finding.code)
            elif path in modules:
                _add(found.modules, modules.position(path), finding.code)
            else:
                _add(found.others, path, finding.code)
    return found


def folded(snapshot: Snapshot, found: Named, wanted: Collection[int] | None = None) -> list[Node]:
    """The folded roots of a model: a slot that findings name stands apart from its siblings that none, or
    others, name. Modules do not: all that they hold would be listed again. wanted: positions of the slots that are
    listed."""
    told: Told = found.slots
    if snapshot.run is not None:
        # So does one that the run treated otherwise.
        runs = map(snapshot.run_of_tensor, snapshot.slot_columns.tensors)
        told = {
            slot: (found.slots.get(slot), run and (run.reached, run.grad, run.changed_by))
            for slot, run in enumerate(runs)
        }
    return fold_tree(snapshot, told, wanted)


def _add(codes: dict[Place, tuple[str, ...]], place: Place, code: str) -> None:
    if code not in codes.get(place, ()):
        codes[place] = (*codes.get(place, ()), code)


def shown(codes: tuple[str, ...]) -> str:
    """What a line says of the findings there: `!PS501,PS104`; empty for none."""
    more = f"+{len(codes) - SHOWN}" if len(codes) > SHOWN else ""
    return f"!{text.name(','.join(codes[:SHOWN]))}{more}" if codes else ""
