"""Graph → the part of it that was asked for: around one path, or only ties, frozen, hidden, optimizers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

import networkx as nx

from paramscope.errors import FormatError, GlobError
from paramscope.glob import compile_glob, missed
from paramscope.render.picture._graph import build_graph

if TYPE_CHECKING:
    from paramscope.report.data import ReportData

ONLY = ("ties", "frozen", "hidden", "optimizer")
"""What `only` takes."""

Graph = nx.MultiDiGraph


def around(report: ReportData, graph: Graph[str], path: str) -> Graph[str]:
    """The part of a graph that a path is about: who holds it, what shares its memory, who steps it.

    path: of a slot or a module, also one with ranges as the output shows it, or a glob. A path that the graph folds
    away is looked up in the unfolded graph. What was asked for carries `focus`. Raises GlobError where nothing has
    the path.
    """
    focus = _at(graph, path.__eq__)
    if not focus:
        matches = compile_glob(path, with_below=False)
        if any(map(matches, chain(report.slots, report.modules))):
            graph = build_graph(report, fold=False)
            focus = _at(graph, matches)
    if not focus:
        raise GlobError(*_nothing_at(report, graph, path))
    wanted = set(focus)
    for name in focus:
        if graph.nodes[name]["kind"] == "module":
            wanted |= nx.descendants(graph, name)
    for tensor in [name for name in wanted if graph.nodes[name]["kind"] == "tensor"]:
        wanted.update(name for name in graph.predecessors(tensor) if graph.nodes[name]["kind"] == "group")
        for storage in graph.successors(tensor):
            wanted.update((storage, *graph.predecessors(storage)))
    found = _with_holders(graph, wanted)
    for name in focus:
        found.nodes[name]["focus"] = True
    return found


def only(graph: Graph[str], what: str) -> Graph[str]:
    """The part of a graph that holds what is tied, frozen, hidden, or stepped. Raises FormatError for other words."""
    tests: dict[str, Callable[[dict[str, Any]], bool]] = {
        "ties": lambda facts: facts["kind"] == "storage" or bool(facts.get("sharing")),
        "frozen": lambda facts: facts["kind"] == "tensor" and facts["status"] == "frozen",
        "hidden": lambda facts: facts.get("status") == "hidden" or facts.get("registered") is False,
        "optimizer": lambda facts: facts["kind"] == "group" or bool(facts.get("groups") or facts.get("not_stepped")),
    }
    if what not in tests:
        raise FormatError(f"a graph cannot show only {what!r}", f"Choose from {', '.join(ONLY)}.")
    is_wanted = tests[what]
    wanted = {
        name
        for name, facts in graph.nodes(data=True)
        if (facts["kind"] != "module" or what == "hidden") and is_wanted(facts)
    }
    return _with_holders(graph, wanted)


def _with_holders(graph: Graph[str], wanted: Iterable[str]) -> Graph[str]:
    """Some nodes with the modules above them, and the roots."""
    kept = set(wanted)
    pending = [name for name in kept if graph.nodes[name]["kind"] in ("module", "tensor")]
    while pending:
        for above in graph.predecessors(pending.pop()):
            if above not in kept and graph.nodes[above]["kind"] == "module":
                kept.add(above)
                pending.append(above)
    kept |= {
        name for name, facts in graph.nodes(data=True) if facts["kind"] == "module" and not graph.in_degree(name)
    }
    # A subgraph of networkx would go in the order of a set.
    found = graph.copy()
    found.remove_nodes_from([name for name in graph if name not in kept])
    return found


def _at(graph: Graph[str], is_it: Callable[[str], Any]) -> list[str]:
    """The tensors in slots of such a path, or else the modules that have one."""
    held = [head for _, head, facts in graph.edges(data=True) if facts["kind"] == "holds" and is_it(facts["path"])]
    if held:
        return list(dict.fromkeys(held))
    modules = ((name, facts["paths"]) for name, facts in graph.nodes(data=True) if facts["kind"] == "module")
    return [name for name, paths in modules if any(map(is_it, paths))]


def _nothing_at(report: ReportData, graph: Graph[str], path: str) -> tuple[str, str]:
    if path in report.modules:
        return f"the module {path!r} holds no tensor, nor does what is below it", "Name one that does."
    if path in report.slots:
        return f"the slot {path!r} is empty, or lies below a second path of a module", "Name the first path."
    return f"no slot or module is called {path!r}", missed(path, [*report.modules, *report.slots])
