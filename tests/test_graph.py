"""The graph: modules, tensors, storages and optimizer groups as typed nodes, and what of it a path or a word asks for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import networkx as nx
import pytest
import torch
from support.graph_models import Hidden, frozen_but_one, gan
from torch import nn

from benchmarks.models import gpt2, moe
from fixtures import tying, vit
from paramscope import Finding, Report, Severity, audit, capture
from paramscope.api import judge
from paramscope.errors import FormatError, GlobError
from paramscope.render.picture import around, build_graph, only

TYPES = {
    "contains": ("module", "module"),
    "holds": ("module", "tensor"),
    "views": ("tensor", "storage"),
    "steps": ("group", "tensor"),
}


def of_kind(graph: nx.MultiDiGraph[str], kind: str) -> list[str]:
    return [name for name, facts in graph.nodes(data=True) if facts["kind"] == kind]


def edges(graph: nx.MultiDiGraph[str], kind: str) -> list[tuple[str, str]]:
    return [(tail, head) for tail, head, facts in graph.edges(data=True) if facts["kind"] == kind]


def check(report: Report, *, fold: bool) -> nx.MultiDiGraph[str]:
    """The graph of a report, its types and sums checked against the report."""
    graph = report.to_networkx(fold=fold)
    kinds = nx.get_node_attributes(graph, "kind")
    for tail, head, facts in graph.edges(data=True):
        assert (kinds[tail], kinds[head]) == TYPES[facts["kind"]]
    there = [slot for slot in report.slots.records() if slot.tensor is not None]
    tensors = of_kind(graph, "tensor")
    assert sum(graph.nodes[name]["count"] for name in tensors) == len({slot.tensor for slot in there})
    assert sum(graph.nodes[name]["slots"] for name in tensors) == len(there)
    roots = [name for name in of_kind(graph, "module") if not graph.in_degree(name)]
    for what in ("trainable", "frozen", "hidden"):
        assert sum(graph.nodes[root][what] for root in roots) == getattr(report.totals, what), what
    assert nx.is_directed_acyclic_graph(graph)
    return graph


@cache
def stepped_report(build: Callable[[], nn.Module]) -> Report:
    """Of a model and an optimizer of all its parameters."""
    model = build()
    parameters = list(model.parameters())
    return audit(model, optimizer=torch.optim.SGD(parameters, lr=0.1) if parameters else None)


@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("build", [tying.tied, tying.untied, vit.build, gpt2, Hidden, frozen_but_one, nn.Identity])
def test_counts_are_those_of_the_report(build: Any, *, fold: bool) -> None:
    report = stepped_report(build)
    graph = check(report, fold=fold)
    held = of_kind(graph, "tensor")
    stepped = {head for _, head in edges(graph, "steps")}
    assert stepped == {name for name in held if graph.nodes[name]["stepped"]}
    assert bool(stepped) == bool(report.totals.parameters)


def test_a_tie_is_one_tensor_with_two_holders() -> None:
    graph = check(audit(tying.tied()), fold=True)
    shared = "tensor:embedding.weight"
    assert graph.nodes[shared]["sharing"] == ("tied",)
    assert list(graph.predecessors(shared)) == ["module:embedding", "module:head"]
    assert graph.nodes["module:"]["elements"] == 40
    assert graph.nodes["module:head"]["elements"] == 40
    assert len(of_kind(check(audit(tying.equal()), fold=True), "tensor")) == 3


def test_gpt2_ties_its_head_to_its_embedding() -> None:
    graph = check(stepped_report(gpt2), fold=True)
    holders = list(graph.predecessors("tensor:transformer.wte.weight"))
    assert holders == ["module:transformer.wte", "module:lm_head", "group:0[0]"]
    assert graph.nodes["module:transformer.h.[0-11].attn"]["count"] == 12


def test_views_of_one_storage_meet_there() -> None:
    graph = check(audit(Hidden()), fold=True)
    (storage,) = of_kind(graph, "storage")
    assert list(graph.predecessors(storage)) == ["tensor:whole", "tensor:part"]
    assert graph.nodes[storage]["nbytes"] == 32
    unfolded = check(audit(Hidden()), fold=False)
    assert len(of_kind(unfolded, "storage")) == len({head for _, head in edges(unfolded, "views")}) == 11


def test_a_storage_of_each_block_folds_with_the_blocks() -> None:
    model = nn.ModuleList(nn.Module() for _ in range(5))
    for block in model:
        block.whole = nn.Parameter(torch.zeros(8))
        block.register_buffer("part", block.whole.data[:4])
    graph = check(audit(model), fold=True)
    (storage,) = of_kind(graph, "storage")
    assert (graph.nodes[storage]["count"], graph.nodes[storage]["nbytes"]) == (5, 160)
    assert len(of_kind(check(audit(model), fold=False), "storage")) == 5


def test_a_module_with_two_paths_is_one_node() -> None:
    shared = nn.Linear(3, 3)
    model = nn.ModuleDict({"a": nn.Sequential(shared), "b": nn.Sequential(nn.ReLU(), shared, nn.Linear(3, 1))})
    graph = check(audit(model), fold=True)
    assert graph.nodes["module:a.0"]["paths"] == ("a.0", "b.1")
    assert list(graph.predecessors("module:a.0")) == ["module:a", "module:b"]
    assert graph.nodes["module:b"]["elements"] == 12 + 4
    assert graph.nodes["module:"]["elements"] == 12 + 4


def test_one_block_of_many_stands_apart() -> None:
    graph = check(audit(frozen_but_one()), fold=True)
    assert graph.nodes["module:3"]["status"] == "trainable"
    assert graph.nodes["module:[0-2,4-7]"]["status"] == "frozen"
    assert graph.nodes["module:"]["status"] == "partly frozen"


def test_two_roots_and_two_optimizers() -> None:
    roots, optimizers = gan()
    graph = check(audit(roots, optimizer=optimizers), fold=True)
    assert of_kind(graph, "group") == ["group:gen[0]", "group:disc[0]"]
    assert set(graph.successors("group:disc[0]")) == {
        f"tensor:discriminator.{name}" for name in ("0.weight", "0.bias", "2.weight")
    }
    assert [name for name in of_kind(graph, "tensor") if graph.nodes[name]["not_stepped"]] == [
        "tensor:discriminator.2.bias"
    ]
    assert graph.nodes["module:discriminator"]["not_stepped"] == 1


def test_findings_mark_the_nodes_they_name() -> None:
    model = Hidden()
    report = audit(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    places = ("layers[1].weight", "dec", "", "optimizer[0].groups[0][3]")
    found = Finding("PS101", "hidden", Severity.ERROR, "lost", places)
    other = Finding("PS204", "tie", Severity.WARNING, "tied", ("enc.weight",))
    graph = Report(report.snapshot, findings=(found, other)).to_networkx()
    marked = {name: facts["findings"] for name, facts in graph.nodes(data=True) if facts["findings"]}
    assert marked == {
        "module:": ("PS101",),
        "module:dec": ("PS101",),
        "tensor:layers[1].weight": ("PS101",),
        "tensor:enc.weight": ("PS204",),
        "group:0[0]": ("PS101",),
    }


def test_around_a_slot() -> None:
    model = Hidden()
    report = audit(model, optimizer=torch.optim.SGD([*model.parameters()][:2], lr=0.1))
    found = around(report, build_graph(report), "dec.weight")
    assert of_kind(found, "module") == ["module:", "module:enc", "module:dec"]
    assert of_kind(found, "tensor") == ["tensor:enc.weight"]
    assert of_kind(found, "group") == ["group:0[0]"] if found.nodes["tensor:enc.weight"]["groups"] else []
    met = around(report, build_graph(report), "part")
    assert of_kind(met, "tensor") == ["tensor:whole", "tensor:part"]
    assert [name for name, facts in met.nodes(data=True) if facts.get("focus")] == ["tensor:part"]


def test_around_a_path_that_is_folded_away_and_one_with_ranges() -> None:
    report = audit(vit.build())
    one = around(report, build_graph(report), "transformer.layers.2.attention.to_qkv.weight")
    assert of_kind(one, "tensor") == ["tensor:transformer.layers.2.attention.to_qkv.weight"]
    assert one.nodes[of_kind(one, "tensor")[0]]["count"] == 1
    all_of_them = around(report, build_graph(report), "transformer.layers.[0-5].attention")
    assert len(of_kind(all_of_them, "tensor")) == 5
    # A range that no view shows, and several at once.
    for path in (
        "transformer.layers.[1-2].attention",
        "transformer.layers.1.attention,transformer.layers.2.attention",
    ):
        two = around(report, build_graph(report), path)
        assert len(of_kind(two, "tensor")) == 2 * 5
    with pytest.raises(GlobError, match=r"no slot or module is called 'transformer\.layer'") as error:
        around(report, build_graph(report), "transformer.layer")
    assert "transformer.layers" in error.value.advice


@pytest.mark.parametrize(
    ("what", "tensors"),
    [
        ("ties", ["tensor:whole", "tensor:part", "tensor:enc.weight"]),
        ("frozen", ["tensor:dec.bias"]),
        ("hidden", ["tensor:scale[0]", "tensor:layers[0-2].weight", "tensor:layers[0-2].bias"]),
        ("optimizer", ["tensor:whole", "tensor:enc.weight", "tensor:enc.bias"]),
    ],
)
def test_only(what: str, tensors: list[str]) -> None:
    model = Hidden()
    model.dec.bias.requires_grad_(False)
    report = audit(model, optimizer=torch.optim.SGD([model.enc.weight], lr=0.1))
    found = only(build_graph(report), what)
    assert of_kind(found, "tensor") == tensors
    assert "module:" in found
    assert bool(of_kind(found, "group")) == (what == "optimizer")


def test_only_knows_its_words() -> None:
    with pytest.raises(FormatError, match="only 'tied'"):
        only(build_graph(audit(nn.Linear(2, 2))), "tied")


def test_two_modules_of_one_path_are_two_nodes() -> None:
    model: Any = nn.Module()
    model._modules["a.b"] = nn.Linear(1, 1)
    model._modules["a"] = nn.Sequential()
    model._modules["a"]._modules["b"] = nn.Linear(2, 2)
    graph = build_graph(audit(model))
    assert sum(graph.nodes[name]["elements"] for name in of_kind(graph, "tensor")) == 2 + 6


def test_ten_thousand_slots_fold() -> None:
    report = judge(capture(moe(67)), rules=())
    graph = report.to_networkx()
    assert len(graph) < 20
    assert max(facts["count"] for _, facts in graph.nodes(data=True)) == 10_050
