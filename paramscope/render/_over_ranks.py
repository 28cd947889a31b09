"""What the ranks of a job hold → sentences, those that hold as much together."""

from __future__ import annotations

from paramscope import text
from paramscope.render._pieces import Name, Pieces, joined
from paramscope.report.data import ReportData
from paramscope.snapshot import numbers_in

_OF_VALUES = ("replica", "buffer", "shard", "unbound")
_WHAT = {
    "order": "the order of slots",
    "optimizers": "the optimizers handed over",
    "member": "the groups of",
    "unheard": "without a hook of DistributedDataParallel,",
    "shard": "shards of",
    "unbound": "all that is trained, as",
}
_NOTHING = {"member": "none", "optimizers": "none", "unheard": "has one"}
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
    if ranks.parameters not in (None, report.totals.parameters):
        found.append([f"together they hold {text.plural(ranks.parameters or 0, 'parameter')}"])
    for kind, path, said in ranks.differences[:_LISTED]:
        is_value = kind in _OF_VALUES
        told = [
            [
                f"ranks [{text.ranges(numbers_in(spans))}]",
                *(() if is_value else (" ", Name(words or _NOTHING.get(kind, "do not have it")))),
            ]
            for spans, words in said
        ]
        what = _WHAT.get(kind, "")
        lead = "the same bits on " if kind == "shard" else "other values on " if is_value else ""
        name = [each for each in (what, " " if what and path else "", path and Name(path)) if each]
        found.append(["ranks differ: " if kind != "shard" else "ranks: ", *name, ": ", lead, *joined(told, "; ")])
    if len(ranks.differences) > _LISTED:
        found.append([f"ranks differ in {text.plural(len(ranks.differences) - _LISTED, 'more place')}"])
    return found
