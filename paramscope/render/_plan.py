"""What a mesh would put on each rank → tables and sentences, the same for a terminal and for documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from paramscope import text
from paramscope.analysis.paths import PathRow, fold_paths
from paramscope.analysis.plan import Held, Load, Placed, Plan
from paramscope.render._cost import Table, foreseen_remarks, size, unknown_remark
from paramscope.render._pieces import Name, Pieces, Prose
from paramscope.report.data import ReportData
from paramscope.report.plan import plan_of

_LISTED = 50
"""Rows of a table."""


def tables_and_remarks(report: ReportData, mesh: str) -> tuple[list[Table], list[Pieces]]:
    """What ranks hold, what is cut unevenly and what is cut by no rank; and what is to be said of it. Raises
    MeshError."""
    plan = plan_of(report, mesh)
    return [_loads(plan), *_uneven(plan), *_whole(plan)], _remarks(report, plan)


def _loads(plan: Plan) -> Table:
    shown = (plan.held[-1].load, plan.held[0].load, plan.whole)
    parts = [part for part in Load._fields if part != "padding" or any(each.padding for each in shown)]
    rows: list[list[Pieces]] = [
        [[part.replace("_", " ")], *([size(getattr(load, part))] for load in shown)] for part in (*parts, "total")
    ]
    return Table(["bytes on a rank", "least", "most", "whole model"], rows)


def _uneven(plan: Plan) -> list[Table]:
    mesh, first, last = plan.mesh, (0, 0), [starts[-1] for starts in plan.stretches]
    found = {
        path: each for path, each in plan.placements.items() if each.local(mesh, *first) != each.local(mesh, *last)
    }

    def cells(each: Placed) -> list[Pieces]:
        without = sum(held.ranks for at, held in plan.by_stretch.items() if 0 in each.local(mesh, *at))
        shapes = each.shape, each.local(mesh, *first), each.local(mesh, *last)
        return [*([text.shape(shape)] for shape in shapes), [text.plural(without, "rank") if without else ""]]

    return _table(["cut unevenly", "shape", "most", "least", "nothing on"], found, cells)


def _whole(plan: Plan) -> list[Table]:
    found = {path: each for path, each in plan.placements.items() if not each.is_sharded and each.split is None}

    def cells(each: Placed) -> list[Pieces]:
        return [[text.shape(each.shape)], [size(None if each.itemsize is None else each.nbytes(plan.mesh, 0, 0))]]

    return _table(["whole on every rank", "shape", "bytes each"], found, cells)


def _table(
    headers: list[str], placements: Mapping[str, Placed], cells: Callable[[Placed], list[Pieces]]
) -> list[Table]:
    folded = fold_paths([((path,), each) for path, each in placements.items()])
    alike = list(placements.values())
    rows: list[list[Pieces]] = [[_name(row), *cells(alike[row.members[0]])] for row in folded[:_LISTED]]
    if len(folded) > _LISTED:
        rows.append([[f"{len(folded) - _LISTED:,} others"], *([""] for _ in headers[1:])])
    return [Table(headers, rows)] if rows else []


def _name(row: PathRow) -> Pieces:
    return [Name(row.path), *([f" ×{text.count(len(row.members))}"] if len(row.members) > 1 else [])]


def _remarks(report: ReportData, plan: Plan) -> list[Pieces]:
    sizes = dict(plan.mesh.sizes)
    found: list[Pieces] = [
        [f"{text.plural(plan.mesh.ranks, 'rank')}: {', '.join(f'{name}={each}' for name, each in sizes.items())}"]
    ]
    if len(plan.held) > 1:
        found.append([f"least: {_ranks(plan.held[-1])}; most: {_ranks(plan.held[0])}"])
    found += foreseen_remarks(report, plan.foreseen)
    if "tp" in sizes and not any(each.split for each in plan.placements.values()) and not plan.doubts:
        found.append(["tp cuts nothing: no plan names a parameter of the model"])
    doubts = list(plan.doubts.items())
    for row in fold_paths([((path,), why) for path, why in doubts])[:_LISTED]:
        found.append(["not cut by tp: ", *_name(row), " (", Prose(doubts[row.members[0]][1]), ")"])
    scalars = [path for path, each in plan.placements.items() if not each.shape] if "fsdp" in sizes else []
    found += [["fully_shard takes no scalar: ", Name(path)] for path in scalars[:_LISTED]]
    found += unknown_remark(plan.unknown)
    return [*found, ["activations, and what is gathered of shards within a step, are not counted"]]


def _ranks(held: Held) -> str:
    return f"{text.plural(held.ranks, 'rank')}, the first is {held.first}" if held.ranks > 1 else f"rank {held.first}"
