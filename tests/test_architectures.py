"""Every layer of torch.nn and real architectures: names, totals, fates and ties are torch's own."""

from __future__ import annotations

import copy

import pytest
import torch
from support.oracle import assert_moved, assert_stepped, assert_torch_agrees, is_lazy, registered
from support.torch_layers import LAYERS, build, exported, forms
from torch import nn
from zoo.trust import suspicions

from paramscope import Severity, audit

# These say of themselves that they are old.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`NLLLoss2d` has been deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:`nn.Container` is deprecated:FutureWarning"),
    # torch before 2.6 says of lazy layers that they are new.
    pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning"),
]


def test_the_table_holds_every_layer_of_torch() -> None:
    assert exported() - set(LAYERS) == set()
    # Names in the table that this torch does not have are later additions, and few.
    assert len(set(LAYERS) - exported()) <= 3


@pytest.mark.parametrize(("name", "number"), forms())
def test_a_layer_of_torch(name: str, number: int) -> None:
    model = build(name, number)
    known = [parameter for parameter in model.parameters() if not is_lazy(parameter)]
    for parameter in known[:1]:
        parameter.requires_grad_(False)
    report = audit(model)
    assert_torch_agrees(model, report)
    assert_moved(report, build(name, number))
    assert_stepped(model)
    # What a layer of torch keeps beside its registered tensors is nothing that anybody should look into.
    assert [slot.path for slot in report.slots.records() if not slot.registered] == []
    # One layer twice in a Sequential, and a max_norm that goes on rewriting what was frozen here, are what they are.
    true = {("Sequential", 3): ["PS111"], ("Embedding", 2): ["PS206"]}.get((name, number), [])
    assert [finding.code for finding in report.findings if finding.severity >= Severity.WARNING] == true


@pytest.mark.parametrize(("name", "number"), forms())
def test_no_rule_warns_of_a_layer_of_torch_in_any_state(name: str, number: int) -> None:
    true = {("Sequential", 3): {"PS111"}, ("Embedding", 2): {"PS206"}}.get((name, number), set())
    if name in ("Embedding", "EmbeddingBag"):
        true = {*true, "PS406"}  # AdamW takes no sparse gradients
    said = suspicions(nn.Sequential(build(name, number), nn.Linear(2, 2)))
    assert [each for each in said if each.split(": ")[1].split()[0] not in true] == []


def test_all_layers_of_torch_at_once() -> None:
    model, twin = (nn.ModuleDict({f"{name}_{i}": build(name, i) for name, i in forms()}) for _ in range(2))
    report = audit(model)
    assert_torch_agrees(model, report)
    assert_moved(report, twin)
    # Some of them are lazy, and what is unknown is said.
    lazy = [slot for slot in report.slots.records() if slot.lazy]
    assert len({slot.tensor for slot in lazy}) == report.totals.unknown > 0
    assert all(slot.numel is None and slot.nbytes is None for slot in lazy)


def test_layers_whose_weights_do_not_show_in_their_arguments() -> None:
    attention = audit(nn.MultiheadAttention(4, 2))
    empty = [slot.path for slot in attention.slots.records() if slot.status == "empty"]
    assert empty == ["q_proj_weight", "k_proj_weight", "v_proj_weight"]
    norm = audit(nn.BatchNorm1d(3, track_running_stats=False))
    assert [(slot.path, slot.status) for slot in norm.slots.records()] == [
        ("weight", "trainable"),
        ("bias", "trainable"),
        ("running_mean", "empty"),
        ("running_var", "empty"),
        ("num_batches_tracked", "empty"),
    ]
    assert audit(nn.CrossEntropyLoss(weight=torch.ones(3))).totals.buffers == 3


def test_a_lazy_layer_is_known_once_it_has_run() -> None:
    model = nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 1))
    before = audit(model)
    assert (before.totals.parameters, before.totals.unknown) == (4, 2)
    assert (before.slots["0.weight"].shape, before.slots["0.weight"].numel) == (None, None)
    model(torch.zeros(1, 5))
    after = audit(model)
    assert (after.totals.parameters, after.totals.unknown) == (4 + 18, 0)
    assert_torch_agrees(model, after)


def test_complex_and_half_parameters_get_gradients_and_integers_cannot() -> None:
    model = nn.ParameterList(
        nn.Parameter(torch.ones(2, dtype=dtype)) for dtype in (torch.complex64, torch.bfloat16, torch.float64)
    )
    model.append(nn.Parameter(torch.ones(2, dtype=torch.int64), requires_grad=False))
    report = audit(model)
    assert [slot.gradient for slot in report.slots.records()] == [True, True, True, False]
    assert [slot.nbytes for slot in report.slots.records()] == [16, 4, 16, 16]
    assert_torch_agrees(model, report)


def test_an_integer_is_moved_to_a_device_and_not_cast() -> None:
    model = nn.BatchNorm1d(3)
    report = audit(model)
    twin = copy.deepcopy(model).to(torch.float64)
    cast = {name for name, b in twin.named_buffers() if b.dtype != dict(model.named_buffers())[name].dtype}
    assert cast == {"running_mean", "running_var"}
    assert {slot.path for slot in registered(report, "buffer") if slot.moved} == cast | {"num_batches_tracked"}


def test_a_module_that_holds_itself_is_noted_and_listed_once() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 1)))
    model[1].parent = model
    report = audit(model)
    assert [note.kind for note in report.snapshot.notes] == ["cycle"]
    assert list(report.modules) == [name for name, _ in model.named_modules()]
    assert report.totals.parameters == sum(p.numel() for p in model.parameters()) == 9


class WithoutInit(nn.Module):
    """Forgets `super().__init__()`, which torch says only when it is run or given a parameter."""

    def __init__(self) -> None:
        pass


def test_a_module_that_was_never_initialised_does_not_end_the_audit() -> None:
    report = audit(nn.Sequential(nn.Linear(2, 2), WithoutInit()))
    assert report.totals.parameters == 6
    assert "1" in report.modules


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_a_scripted_module_s_parameters_are_seen() -> None:
    model = nn.Sequential(nn.Linear(2, 2), torch.jit.script(nn.Linear(2, 3)))
    report = audit(model)
    assert report.totals.parameters == 6 + 9
    assert [slot.path for slot in registered(report, "parameter")] == [
        name for name, _ in model.named_parameters(remove_duplicate=False)
    ]


def test_a_storage_that_was_freed_holds_no_bytes() -> None:
    # As FSDP does between two forwards.
    model = nn.Linear(2, 2, bias=False)
    model.weight.untyped_storage().resize_(0)
    report = audit(model)
    assert (report.totals.parameters, report.totals.nbytes) == (4, 0)


@pytest.mark.parametrize("missing", ["_parameters", "_buffers", "_modules", "training", "_state_dict_hooks"])
def test_a_module_that_lost_part_of_itself_is_noted(missing: str) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    del model[0].__dict__[missing]
    report = audit(model)
    assert [note.path for note in report.snapshot.notes] == ["0"]
    assert "1.weight" in report.slots
    assert ("0.weight" in report.slots) is (missing != "_parameters")


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_traced_module_is_seen() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).eval()
    traced = torch.jit.trace(model, torch.zeros(1, 2))
    report = audit(traced)
    assert list(report.slots) == [
        *(f"0.{name}" for name in ("weight", "bias")),
        *(f"1.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
    ]
    assert report.totals.parameters == sum(p.numel() for p in model.parameters())
    assert report.modules[""].training is False
    assert report == audit(traced)
