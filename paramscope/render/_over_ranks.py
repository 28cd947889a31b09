"""What the ranks of a job hold → sentences, those that hold as much together."""

from __future__ import annotations

from paramscope import text
from paramscope.render._pieces import Name, Pieces, joined
from paramscope.report.data import ReportData

_LISTED = 8
"""Kinds of ranks, and places where they differ, that are told."""


def sentences(report: ReportData) -> list[Pieces]:
    """What ranks hold, and where they differ; nothing where no others were asked."""
    ranks = report.snapshot.ranks
    if ranks is None:
        return []
    alike: dict[tuple[int, int, int], list[int]] = {}
    for rank, *held in ranks.records:
        alike.setdefault(tuple(held), []).append(rank)  # type: ignore[arg-type]  # three of them
    held_by = [
        f"[{text.ranges(found)}] holds {text.plural(parameters, 'parameter')}, {text.nbytes(nbytes)}, "
        f"{text.plural(slots, 'slot')}"
        for (parameters, nbytes, slots), found in alike.items()
    ]
    more = "; …" if len(held_by) > _LISTED else ""
    found: list[Pieces] = [[f"each of ranks {'; '.join(held_by[:_LISTED])}{more}"]]
    for path, said in ranks.differences[:_LISTED]:
        told = [[f"ranks [{text.ranges(numbers)}] ", Name(words or "do not have it")] for numbers, words in said]
        found.append(["ranks differ: ", Name(path), ": ", *joined(told, "; ")])
    if len(ranks.differences) > _LISTED:
        found.append([f"ranks differ in {text.plural(len(ranks.differences) - _LISTED, 'more place')}"])
    return found
