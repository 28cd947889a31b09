"""What the ranks of a job hold → sentences, those that hold as much together."""

from __future__ import annotations

from collections.abc import Sequence

from paramscope import text
from paramscope.render._pieces import Name, Pieces, joined
from paramscope.report.data import ReportData
from paramscope.snapshot import numbers_in

_LISTED = 8
"""Kinds of ranks, and places where they differ, that are told."""
_TOLD = ("slot", "order", "optimizers", "group", "member")
"""Differences that may be meant. Of the others there are findings."""


def sentences(report: ReportData) -> list[Pieces]:
    """What ranks hold, and where they differ; nothing where no others were asked."""
    ranks = report.snapshot.ranks
    if ranks is None:
        return []
    alike: dict[tuple[int, int, int], list[int]] = {}
    for rank, *held in ranks.records:
        alike.setdefault(tuple(held), []).append(rank)  # type: ignore[arg-type]  # three of them
    held_by = [
        f"{_ranks(found)} {'each hold' if len(found) > 1 else 'holds'} {text.plural(parameters, 'parameter')}, "
        f"{text.nbytes(nbytes)}, {text.plural(slots, 'slot')}"
        for (parameters, nbytes, slots), found in alike.items()
    ]
    more = "; …" if len(held_by) > _LISTED else ""
    found: list[Pieces] = [[f"{'; '.join(held_by[:_LISTED])}{more}"]]
    if ranks.parameters not in (None, report.totals.parameters):
        found.append([f"together they hold {text.plural(ranks.parameters or 0, 'parameter')}"])
    differences = [each for each in ranks.differences if each.kind in _TOLD]
    for kind, path, said in differences[:_LISTED]:
        told: list[Pieces] = []
        for numbers, words in ((numbers_in(spans), words) for spans, words in said):
            nothing = f"{'do' if len(numbers) > 1 else 'does'} not have it" if kind == "slot" else "none"
            told.append([f"{_ranks(numbers)} ", Name(words or nothing)])
        what: dict[str, Pieces] = {
            "order": ["the order of slots"],
            "optimizers": ["the optimizers that were handed over"],
            "member": ["the groups of ", Name(path)],
        }
        found.append(["ranks differ: ", *what.get(kind, [Name(path)]), ": ", *joined(told, "; ")])
    if len(differences) > _LISTED:
        found.append([f"ranks differ in {text.plural(len(differences) - _LISTED, 'more place')}"])
    return found


def _ranks(numbers: Sequence[int]) -> str:
    return f"rank{'s' if len(numbers) > 1 else ''} [{text.ranges(numbers)}]"
