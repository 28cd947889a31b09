"""What torch.nn.utils and torch.nn leave on correct modules is told as it is, and nothing of it is called hidden."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from support.idioms import foreign, look, marks, only, only_ours, shape, shared, small, traces, unregistered
from support.oracle import assert_torch_agrees
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, stateless
from torch.optim import swa_utils

from paramscope import audit

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning"),
]


def test_what_is_looked_at_would_show() -> None:
    model: Any = small()
    model.hidden = [nn.Linear(1, 1)]
    with pytest.raises(AssertionError):
        look(model)
    with pytest.raises(AssertionError), only_ours():
        nn.Linear(1, 1)
    before = traces(model)
    with torch.no_grad():
        model[0].weight.add_(0)
    assert traces(model) != before


def test_whose_code_ran_is_told_by_where_it_lies() -> None:
    # A clone has the package's name, and its environment lies in it.
    clone = Path("/home/paramscope/hypothesis/site-packages/paramscope")
    installed = clone / ".venv/lib/python3.12/site-packages"

    def theirs(*files: str | Path) -> set[str]:
        return foreign(map(str, files), "nested", ours=clone / "paramscope", torch=installed / "torch")

    assert theirs(clone / "paramscope/capture/walk.py", installed / "torch/nested/_internal/ops.py") == set()
    assert theirs(installed / "torch/autograd/grad_mode.py", os.__file__, "<frozen abc>", "<string>") == set()
    others: list[str | Path] = [
        installed / "torch/nn/modules/linear.py",
        installed / "torch/nn/nested/grad_mode.py",
        installed / "paramscope/capture.py",
        clone / "fixtures/vit.py",
        clone / "paramscope_of_mine/net.py",
        Path(pytest.__file__),
        "<eval_with_key>.0",
    ]
    assert theirs(*others) == set(map(str, others))


# Recurrent layers keep a flat list of their weights beside them.

RECURRENT: list[Callable[[], nn.Module]] = [
    lambda: nn.RNN(2, 3, num_layers=2, bidirectional=True),
    lambda: nn.LSTM(2, 3, proj_size=1),
    lambda: nn.GRU(2, 3, bias=False),
]


@pytest.mark.parametrize("build", RECURRENT)
def test_the_flat_weights_of_a_recurrent_layer_are_its_weights(build: Callable[[], nn.Module]) -> None:
    model = build()
    for _ in range(2):
        report = look(model)
        only(report)
        assert {slot.shape == slot.declared for slot in report.slots.records() if slot.status != "empty"} == {True}
        model(torch.zeros(1, 1, 2))


@pytest.mark.parametrize("norm", ["weight_norm", "spectral_norm", "orthogonal"])
def test_a_recurrent_layer_with_a_parametrized_weight(norm: str) -> None:
    model = nn.LSTM(2, 3)
    getattr(parametrizations, norm)(model, "weight_hh_l0")
    for _ in range(2):
        report = look(model)
        only(report)
        assert "weight_hh_l0" not in report.slots
        assert report.select("parametrizations.weight_hh_l0.original*")
        model(torch.zeros(1, 1, 2))


def test_a_recurrent_layer_with_an_old_weight_norm() -> None:
    model = nn.LSTM(2, 3)
    nn.utils.weight_norm(model, "weight_hh_l0")
    for _ in range(2):
        report = look(model)
        assert unregistered(report) == ["weight_hh_l0"]
        slot = report.slots["weight_hh_l0"]
        assert (slot.status, slot.shape, slot.declared, slot.saved, slot.moved) == (
            "attribute",
            (12, 3),
            (12, 3),
            False,
            False,
        )
        assert marks(report) == {("weight_hh_l0", "recomputed", "weight_norm")}
        assert report.sharing == ()
        model(torch.zeros(1, 1, 2))
        model.flatten_parameters()


class WeightDrop(nn.Module):
    """As AWD-LSTM does it: the raw weight is a parameter, the weight itself is computed in each forward."""

    def __init__(self) -> None:
        super().__init__()
        module: Any = nn.LSTM(2, 3)
        self.module = module
        raw = self.module.weight_hh_l0
        del self.module._parameters["weight_hh_l0"]
        self.module.register_parameter("weight_hh_l0_raw", nn.Parameter(raw.data))
        self.drop()

    def drop(self) -> None:
        """Computes the weight."""
        self.module.weight_hh_l0 = nn.functional.dropout(self.module.weight_hh_l0_raw, 0.5)

    def forward(self, x: torch.Tensor) -> Any:
        self.drop()
        return self.module(x)


def test_weight_drop_is_a_derived_attribute_and_nothing_hidden() -> None:
    model = WeightDrop()
    for _ in range(2):
        report = look(model)
        assert unregistered(report) == ["module.weight_hh_l0"]
        slot = report.slots["module.weight_hh_l0"]
        assert (slot.status, slot.is_leaf, slot.requires_grad) == ("attribute", False, True)
        # The layer's list of flat weights holds the raw one no more, or the one that was computed: both are listed.
        assert report.snapshot.aliases == ()
        assert report.sharing == ()
        model(torch.zeros(1, 1, 2))


def pack(model: nn.Module) -> None:
    """Puts all parameters into one storage, as `flatten_parameters` does for cuDNN."""
    parameters = list(model.parameters())
    flat = torch._utils._flatten_dense_tensors([p.data for p in parameters])
    start = 0
    for parameter in parameters:
        parameter.data = flat[start : start + parameter.numel()].view(parameter.shape)
        start += parameter.numel()


def test_weights_packed_into_one_buffer_lie_side_by_side() -> None:
    model: Any = nn.LSTM(2, 3)
    pack(model)
    report = look(model)
    assert shared(report) == [("co-located", ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"))]
    assert report.totals.nbytes == 4 * report.totals.parameters
    assert unregistered(report) == []
    # So does what is written back from one vector.
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    nn.utils.vector_to_parameters(torch.arange(12.0), model.parameters())
    assert [kind for kind, _ in shared(look(model))] == ["co-located"]


# Attention.


@pytest.mark.parametrize(
    "kwargs",
    [{}, {"kdim": 3, "vdim": 5}, {"kdim": 3}, {"bias": False}, {"add_bias_kv": True, "kdim": 4, "vdim": 4}],
    ids=str,
)
def test_an_attention_s_weights_have_the_shapes_that_it_declares(kwargs: dict[str, Any]) -> None:
    model = nn.MultiheadAttention(4, 2, **kwargs)
    report = look(model)
    only(report)
    held = {slot.path: slot for slot in report.slots.records() if slot.status != "empty"}
    assert set(held) == {name for name, _ in model.named_parameters()}
    assert {slot.shape == slot.declared for slot in held.values()} == {True}


def test_the_layers_of_a_transformer_are_copies_and_not_tied() -> None:
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 3)
    assert torch.equal(model.layers[0].linear1.weight, model.layers[1].linear1.weight)
    report = look(model)
    only(report)
    model.eval()(torch.zeros(1, 2, 4))
    assert look(model).totals == report.totals


# Parametrizations.


class Doubled(nn.Module):
    """A parametrization that can be undone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    def right_inverse(self, x: torch.Tensor) -> torch.Tensor:
        return x / 2


class Sum(nn.Module):
    """One that has two originals."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a + b

    def right_inverse(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x / 2, x / 2


class FirstRow(nn.Module):
    """One that changes the shape."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:1]


def test_parametrizations_one_upon_the_other() -> None:
    model: Any = nn.Sequential(nn.Linear(2, 3), nn.Conv2d(1, 2, 3))
    for layer in model:
        parametrize.register_parametrization(layer, "weight", Doubled())
        parametrize.register_parametrization(layer, "weight", Doubled())
    report = look(model)
    only(report)
    assert list(report.slots) == [
        "0.bias",
        "0.parametrizations.weight.original",
        "1.bias",
        "1.parametrizations.weight.original",
    ]
    assert report.modules["0"].type == "torch.nn.utils.parametrize.ParametrizedLinear"
    cls = report.snapshot.classes[report.modules["0"].type]
    assert "torch.nn.modules.linear.Linear" in cls.bases
    assert cls.forward == "torch.nn.modules.linear.Linear"
    assert dict(report.modules["0"].settings) == {
        "layer": "torch.nn.modules.linear.Linear",
        "in_features": 2,
        "out_features": 3,
    }
    # While the results are cached, too.
    with parametrize.cached():
        model[0].weight.sum()
        assert look(model) == report
    for layer in model:
        parametrize.remove_parametrizations(layer, "weight")
    report = look(model)
    only(report)
    assert (report.modules["0"].type, shape(report, "0.weight")) == (
        "torch.nn.modules.linear.Linear",
        ((3, 2), (3, 2)),
    )


def test_parametrizations_of_several_originals_of_a_buffer_and_of_another_shape() -> None:
    model = nn.ModuleList([nn.Linear(2, 3), nn.BatchNorm1d(2), nn.Linear(2, 3)])
    parametrize.register_parametrization(model[0], "weight", Sum())
    parametrize.register_parametrization(model[1], "running_mean", Doubled())
    parametrize.register_parametrization(model[2], "weight", FirstRow(), unsafe=True)
    report = look(model)
    only(report)
    assert report.slots["0.parametrizations.weight.original1"].trainable
    assert report.slots["1.parametrizations.running_mean.original"].role == "buffer"
    assert report.totals.parameters == 15 + 4 + 9


@pytest.mark.parametrize(
    ("build", "extra"),
    [
        (lambda: parametrizations.weight_norm(nn.Conv2d(2, 4, 3)), {"original0", "original1"}),
        (lambda: parametrizations.spectral_norm(nn.Linear(3, 4)), {"original", "0._u", "0._v"}),
        (lambda: parametrizations.orthogonal(nn.Linear(3, 3)), {"original", "0.base"}),
        (lambda: parametrizations.orthogonal(nn.Linear(3, 3), orthogonal_map="householder"), {"original", "0.base"}),
        (lambda: parametrizations.orthogonal(nn.Linear(3, 3), use_trivialization=False), {"original"}),
    ],
)
def test_the_parametrizations_of_torch(build: Callable[[], nn.Module], extra: set[str]) -> None:
    model = build()
    report = look(model)
    only(report)
    assert set(report.slots) == {"bias", *(f"parametrizations.weight.{name}" for name in extra)}
    before = report.totals.parameters
    model(torch.ones(1, 2, 3, 3) if isinstance(model, nn.Conv2d) else torch.ones(1, 3))
    assert look(model) == report
    parametrize.remove_parametrizations(model, "weight")
    report = look(model)
    only(report)
    assert report.totals.parameters <= before
    assert {slot.shape == slot.declared for slot in report.slots.records()} == {True}


# The old norms, which are hooks.


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_old_weight_norm(mode: str) -> None:
    model = nn.Sequential(nn.utils.weight_norm(nn.Linear(2, 3)))
    getattr(model, mode)()
    for switch in (torch.enable_grad, torch.no_grad, torch.enable_grad):
        report = look(model)
        assert list(report.slots) == ["0.bias", "0.weight_g", "0.weight_v", "0.weight"]
        slot = report.slots["0.weight"]
        assert (slot.role, slot.status, slot.saved, slot.moved) == ("attribute", "attribute", False, False)
        assert marks(report) == {("0.weight", "recomputed", "weight_norm")}
        assert report.sharing == ()
        with switch():
            model(torch.ones(1, 2))
    nn.utils.remove_weight_norm(model[0])
    only(look(model))


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_old_spectral_norm(mode: str) -> None:
    model = nn.utils.spectral_norm(nn.Linear(2, 3))
    getattr(model, mode)()
    report = look(model)
    assert list(report.slots) == ["bias", "weight_orig", "weight_u", "weight_v", "weight"]
    assert marks(report) == {("weight", "recomputed", "spectral_norm")}
    # Until the first forward it is the original's own memory.
    assert shared(report) == [("aliased", ("weight_orig", "weight"))]
    for switch in (torch.enable_grad, torch.no_grad):
        with switch():
            model(torch.ones(1, 2))
        report = look(model)
        assert marks(report) == {("weight", "recomputed", "spectral_norm")}
        assert report.slots["weight"].status == "attribute"
        assert report.sharing == ()
    twin = copy.deepcopy(model)  # its weight has no graph now
    assert marks(look(twin)) == {("weight", "recomputed", "spectral_norm")}
    nn.utils.remove_spectral_norm(model)
    only(look(model))


def test_what_another_hook_names_is_not_recomputed() -> None:
    model = nn.utils.weight_norm(nn.Linear(2, 3))
    model.scale = torch.ones(3)
    report = look(model, codes=("PS104",))
    assert unregistered(report) == ["weight", "scale"]
    assert marks(report) == {("weight", "recomputed", "weight_norm")}


# Pruning.


def pruned() -> nn.Module:
    """Two layers to prune."""
    return nn.Sequential(nn.Linear(4, 4), nn.Conv2d(2, 3, 3))


PRUNING: list[Callable[[Any], object]] = [
    lambda model: prune.l1_unstructured(model[0], "weight", 0.5),
    lambda model: prune.random_structured(model[0], "weight", 1, 0),
    lambda model: prune.custom_from_mask(model[0], "weight", torch.ones(4, 4)),
    lambda model: prune.identity(model[0], "weight"),
]


@pytest.mark.parametrize("apply", PRUNING)
def test_a_pruned_weight_is_recomputed_from_the_original_and_the_mask(apply: Callable[[nn.Module], object]) -> None:
    model: Any = pruned()
    apply(model)
    for _ in range(2):
        report = look(model)
        assert report.slots["0.weight_orig"].trainable
        assert report.slots["0.weight_mask"].role == "buffer"
        assert unregistered(report) == ["0.weight"]
        assert marks(report) == {("0.weight", "recomputed", "pruning")}
        assert report.sharing == ()
        assert report.totals.parameters == 77
        model[0](torch.ones(1, 4))
    prune.remove(model[0], "weight")
    only(look(model))


def test_several_prunings_of_one_weight_and_of_many() -> None:
    model: Any = pruned()
    for apply in PRUNING[:2]:
        apply(model)
    assert isinstance(next(iter(model[0]._forward_pre_hooks.values())), prune.PruningContainer)
    prune.custom_from_mask(model[0], "bias", torch.ones(4))
    report = look(model)
    assert marks(report) == {("0.weight", "recomputed", "pruning"), ("0.bias", "recomputed", "pruning")}
    model = pruned()
    prune.global_unstructured(
        [(model[0], "weight"), (model[1], "weight")], pruning_method=prune.L1Unstructured, amount=0.3
    )
    report = look(model)
    assert marks(report) == {("0.weight", "recomputed", "pruning"), ("1.weight", "recomputed", "pruning")}
    assert unregistered(report) == ["0.weight", "1.weight"]


def test_pruning_a_recurrent_layer() -> None:
    model = nn.GRU(2, 3)
    prune.l1_unstructured(model, "weight_hh_l0", 0.5)
    report = look(model)
    assert unregistered(report) == ["weight_hh_l0"]
    assert marks(report) == {("weight_hh_l0", "recomputed", "pruning")}


# Views that torch will not tell the origin of.


def test_views_of_a_parameter_that_was_stepped_since() -> None:
    model = nn.Linear(2, 4, bias=False)
    model.q, model.k = model.weight.chunk(2)
    model.row = model.weight[0]
    (model.q.sum() + model.k.sum() + model.row.sum()).backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified inplace"):
        model.q.is_leaf  # noqa: B018
    report = look(model)
    for name in ("q", "k", "row"):
        slot = report.slots[name]
        assert (slot.status, slot.requires_grad, slot.is_leaf, slot.gradient) == ("attribute", True, False, False)
    assert shared(report) == [("overlapping", ("weight", "q", "k", "row"))]


def test_a_view_made_without_grad_of_what_was_changed_with_grad() -> None:
    model = nn.Linear(2, 2, bias=False)
    base = model.weight * 2
    with torch.no_grad():
        model.view = base.view(4)
    base.mul_(2)
    with pytest.raises(RuntimeError, match="created in no_grad mode"):
        model.view.is_leaf  # noqa: B018
    report = look(model, codes=("PS109",))
    slot = report.slots["view"]
    assert (slot.status, slot.requires_grad, slot.is_leaf) == ("attribute", model.view.requires_grad, False)


# Lazy modules.


@pytest.mark.parametrize(
    ("build", "unknown", "batch"),
    [
        (lambda: nn.LazyLinear(3), 2, (2, 4)),
        (lambda: nn.LazyConv2d(3, 2, bias=False), 1, (1, 2, 4, 4)),
        (lambda: nn.LazyConvTranspose1d(3, 2), 2, (1, 2, 4)),
        (lambda: nn.LazyBatchNorm1d(), 4, (2, 4)),
        (lambda: nn.LazyBatchNorm2d(affine=False), 2, (2, 3, 4, 4)),
    ],
)
def test_a_lazy_module_before_and_after(build: Callable[[], nn.Module], unknown: int, batch: tuple[int, ...]) -> None:
    model = build()
    name = type(model).__name__
    report = look(model, unknown=unknown)
    only(report)
    lazy = [slot for slot in report.slots.records() if slot.lazy]
    assert len(lazy) == unknown
    assert {(slot.shape, slot.numel, slot.nbytes, slot.declared) for slot in lazy} == {(None, None, None, None)}
    assert report.modules[""].type.endswith("." + name)
    model(torch.ones(batch))
    report = look(model)
    only(report)
    assert report.modules[""].type.endswith("." + name.removeprefix("Lazy"))
    assert {slot.shape == slot.declared for slot in report.slots.records() if slot.declared} == {True}


# Containers, shared modules, hooks.


class Containers(nn.Module):
    """Parameters and modules in every container that torch has, and nothing where nothing is."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ParameterList(
            [
                nn.Parameter(torch.ones(1)),
                torch.ones(2),
                nn.ParameterList([nn.Parameter(torch.ones(3))]),
                nn.ParameterDict({"a": nn.Parameter(torch.ones(4)), "text": "no tensor"}),
            ]
        )
        self.by_name = nn.ParameterDict({"x": self.parts[0], "y": nn.ParameterList([torch.ones(2)])})
        self.register_module("nothing", None)
        self.also_nothing = None
        shared_one = nn.Linear(2, 2)
        self.layers = nn.ModuleList([shared_one, shared_one, nn.Sequential(shared_one)])


def test_containers_in_containers_and_a_shared_module() -> None:
    model = Containers()
    report = look(model, codes=("PS111",))
    assert unregistered(report) == []
    assert report.snapshot.aliases == ()
    assert shared(report) == [
        ("tied", ("parts.0", "by_name.x")),
        ("tied", ("layers.0.weight", "layers.1.weight", "layers.2.0.weight")),
        ("tied", ("layers.0.bias", "layers.1.bias", "layers.2.0.bias")),
    ]
    objects = [report.modules[path].object for path in ("layers.0", "layers.1", "layers.2.0")]
    assert len(set(objects)) == 1
    assert report.totals.parameters == 1 + 2 + 3 + 4 + 2 + 6


def test_what_hooks_hold_is_not_looked_into() -> None:
    model: Any = small()
    other, weight = nn.Linear(3, 3), nn.Parameter(torch.ones(7))

    def hook(*_: Any, **__: Any) -> None:
        other(weight)

    model.register_forward_hook(hook)
    model.register_forward_pre_hook(hook, with_kwargs=True)
    model.register_full_backward_hook(hook)
    model.register_full_backward_pre_hook(hook)
    model.register_load_state_dict_post_hook(hook)
    model._register_load_state_dict_pre_hook(hook, with_module=True)
    model[0].weight.register_hook(hook)
    model[0].weight.register_post_accumulate_grad_hook(hook)
    only(look(model))
    # What is saved is not known once a hook may add to it.
    model._register_state_dict_hook(hook)
    report = look(model, saved=False)
    reasons = {slot.saved: dict(slot.unknown)["saved"] for slot in report.slots.records()}
    assert reasons == {None: "Sequential carries the state_dict hook hook"}


# Wrappers, averages, calls with other tensors.


def test_a_model_and_its_average() -> None:
    for kwargs in ({}, {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.9)}, {"use_buffers": True}):
        model: Any = swa_utils.AveragedModel(small(), **kwargs)
        report = look(model)
        only(report)
        assert report.slots["n_averaged"].role == "buffer"
        model.update_parameters(small())
        assert look(model).totals == report.totals
    # The average in a list, as people keep it who do not want it saved, is hidden, and called so.
    model = small()
    model.average = [swa_utils.AveragedModel(model)]
    report = audit(model)
    assert report.totals.hidden == report.totals.parameters == 10
    assert {path.partition(".")[0] for path in unregistered(report)} == {"average[0]"}


def test_data_parallel_and_skipped_initialisation() -> None:
    report = look(nn.DataParallel(small()))
    only(report)
    assert all(path.startswith("module.") for path in report.slots)
    only(look(nn.utils.skip_init(nn.Linear, 2, 3)))
    only(look(cast(Any, nn.Conv2d(2, 3, 3)).to(memory_format=torch.channels_last)))


def test_a_functional_call_leaves_nothing_behind() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    before = look(model)
    other = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    torch.func.functional_call(model, other, (torch.ones(1, 2),))
    assert look(model) == before
    with stateless._reparametrize_module(model, other, tie_weights=True):
        # Within it, the tensors are in the parameters' place, and no Parameters.
        inside = look(model)
        assert (inside.totals.trainable, inside.slots["0.weight"].is_parameter) == (0, False)
        assert ("tied", ("0.weight", "1.weight")) in shared(inside)
    assert look(model) == before


def test_an_ensemble_of_functions() -> None:
    models = [small() for _ in range(2)]
    parameters, buffers = torch.func.stack_module_state(models)
    model: Any = nn.ParameterDict(
        {name.replace(".", "_"): nn.Parameter(stacked.detach()) for name, stacked in parameters.items()}
    )
    model.stacked_buffers = buffers
    report = look(model)
    assert unregistered(report) == [f"stacked_buffers[{name!r}]" for name in buffers]


def test_a_state_dict_that_is_kept_is_the_parameters_themselves() -> None:
    model: Any = small()
    names = list(model.state_dict())
    model.best = model.state_dict()
    model.copied = copy.deepcopy(model.best)
    report = look(model, codes=("PS310",))
    assert unregistered(report) == [f"{kept}[{name!r}]" for kept in ("best", "copied") for name in names]
    assert set(shared(report)) == {("aliased", (f"best[{name!r}]", name)) for name in names}
    assert report.totals.attributes == 2 * (report.totals.parameters + report.totals.buffers)


def test_a_shallow_copy_ties_every_parameter() -> None:
    layer = nn.Linear(2, 2)
    report = look(nn.Sequential(layer, copy.copy(layer)), codes=("PS111",))
    assert shared(report) == [("tied", ("0.weight", "1.weight")), ("tied", ("0.bias", "1.bias"))]
    assert report.modules["0"].object != report.modules["1"].object


def test_torch_agrees_on_every_one_of_them() -> None:
    model: Any = nn.ModuleList([nn.LSTM(2, 3), pruned(), nn.utils.spectral_norm(nn.Linear(2, 3)), Containers()])
    nn.utils.weight_norm(model[0], "weight_hh_l0")
    for apply in PRUNING:
        apply(model[1])
    parametrizations.weight_norm(model[1][1])
    assert_torch_agrees(model, look(model, codes=("PS111",)))
