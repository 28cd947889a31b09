"""The shapes that torch.nn layers declare: equal to what every layer holds, and to what it should have held."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.torch_layers import build, forms
from torch import nn
from torch.nn.utils import parametrize

from fixtures import linear_shapes, soft_prompt
from paramscope import Report, audit, capture
from paramscope.snapshot.declared import LAYERS, declared_shapes

# torch.nn still exports classes that it is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")


def declared(model: nn.Module) -> dict[str, tuple[int, ...] | None]:
    """What each slot should look like."""
    return {path: slot.declared for path, slot in audit(model).slots.items()}


# Buffers that are no layer's own shape: class weights of losses, counters.
_UNDECLARED = {"num_batches_tracked", "pos_weight"}


@pytest.mark.parametrize(("name", "number"), forms())
def test_every_layer_of_torch_holds_what_it_declares(name: str, number: int) -> None:
    model = build(name, number)
    report = audit(model)
    for slot in report.slots.records():
        if slot.lazy or slot.status == "empty":
            assert slot.declared is None
            continue
        owner = report.modules[slot.module]
        if slot.declared is None:
            layer = owner.type.rpartition(".")[2]
            is_loss = "Loss" in layer
            assert slot.name in _UNDECLARED or is_loss or layer.startswith("Parameter") or layer == "RNNCellBase", (
                slot
            )
        else:
            assert slot.declared == slot.shape, slot


def test_every_row_of_the_table_was_met() -> None:
    met = set()
    for name, number in forms():
        snapshot = capture(build(name, number))
        for record in snapshot.classes.values():
            met |= LAYERS.keys() & {record.type, *record.bases}
    assert met == set(LAYERS)


@pytest.mark.parametrize(
    ("layer", "name", "shape"),
    [
        (nn.Linear(3, 5), "weight", (5, 3)),
        (nn.Linear(3, 5), "bias", (5,)),
        (nn.Bilinear(2, 3, 4), "weight", (4, 2, 3)),
        (nn.Conv2d(4, 6, (3, 5), groups=2), "weight", (6, 2, 3, 5)),
        (nn.ConvTranspose1d(4, 6, 3, groups=2), "weight", (4, 3, 3)),
        (nn.Embedding(7, 2), "weight", (7, 2)),
        (nn.EmbeddingBag(7, 2), "weight", (7, 2)),
        (nn.LayerNorm((2, 3)), "weight", (2, 3)),
        (nn.RMSNorm(4), "weight", (4,)),
        (nn.GroupNorm(2, 4), "bias", (4,)),
        (nn.BatchNorm2d(3), "running_var", (3,)),
        (nn.InstanceNorm1d(3, affine=True), "weight", (3,)),
        (nn.LSTM(2, 3, 2, bidirectional=True, proj_size=1), "weight_ih_l1_reverse", (12, 2)),
        (nn.LSTM(2, 3, proj_size=1), "weight_hr_l0", (1, 3)),
        (nn.GRU(2, 3), "weight_hh_l0", (9, 3)),
        (nn.RNN(2, 3), "bias_hh_l0", (3,)),
        (nn.LSTMCell(2, 3), "weight_ih", (12, 2)),
        (nn.MultiheadAttention(4, 2), "in_proj_weight", (12, 4)),
        (nn.MultiheadAttention(4, 2, kdim=3, vdim=5), "v_proj_weight", (4, 5)),
        (nn.MultiheadAttention(4, 2, add_bias_kv=True), "bias_k", (1, 1, 4)),
        (nn.PReLU(3), "weight", (3,)),
    ],
)
def test_a_replaced_tensor_does_not_change_what_is_declared(layer: Any, name: str, shape: tuple[int, ...]) -> None:
    holder = layer._buffers if name in layer._buffers else layer._parameters
    holder[name] = nn.Parameter(torch.zeros(11))
    slot = audit(nn.Sequential(layer)).slots[f"0.{name}"]
    assert (slot.declared, slot.shape) == (shape, (11,))


def test_the_tutorial_s_swapped_weights_stand_in_the_json() -> None:
    report = audit(linear_shapes.network())
    again = Report.from_json(report.to_json())
    assert {path: (slot.declared, slot.shape) for path, slot in again.slots.items()} == {
        "linear1.weight": ((2, 5), (5, 2)),
        "linear1.bias": ((2,), (2,)),
        "linear2.weight": ((3, 2), (5, 2)),
        "linear2.bias": ((3,), (2,)),
    }


def test_the_tutorial_s_random_prompt_is_not_what_its_embedding_declares() -> None:
    slot = audit(soft_prompt.random_branch()).slots["soft_prompt.weight"]
    assert (slot.declared, slot.shape) == ((20, 768), (2, 10))


class Wide(nn.Linear):
    """Has a forward of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_a_subclass_is_found_through_its_mro_and_its_own_forward_is_told() -> None:
    model = nn.Sequential(Wide(2, 3), nn.Linear(2, 3))
    snapshot = capture(model)
    assert declared(model)["0.weight"] == (3, 2)
    own, torchs = (snapshot.classes[snapshot.modules[path].type] for path in "01")
    assert own.forward == own.type == f"{__name__}.Wide"
    assert torchs.forward == torchs.type == "torch.nn.modules.linear.Linear"
    assert "torch.nn.modules.linear.Linear" in own.bases


def test_what_is_parametrized_keeps_its_logical_shape_apart() -> None:
    model = parametrize.register_parametrization(nn.Linear(2, 3), "weight", nn.Identity())
    assert declared(model) == {"bias": (3,), "parametrizations.weight.original": None}


ODD_VALUES = [None, "3", 2.5, -1, True, [3], torch.tensor(3), 10**30, 10**5000, float("nan"), (3,), (10**30,)]


@pytest.mark.parametrize("value", ODD_VALUES, ids=range(len(ODD_VALUES)))
def test_settings_of_any_kind_say_nothing_rather_than_fail(value: Any) -> None:
    model = nn.Sequential(nn.Linear(2, 3))
    model[0].out_features = value
    report = audit(model)
    assert report.slots["0.weight"].declared is None
    assert Report.from_json(report.to_json()) == report


def test_missing_settings_say_nothing() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Conv1d(2, 3, 1), nn.LSTM(2, 3))
    for layer, name in zip(model, ("in_features", "groups", "mode"), strict=True):
        delattr(layer, name)
    assert {shape for path, shape in declared(model).items() if "weight" in path} == {None}


def test_groups_of_zero_say_nothing() -> None:
    model = nn.Conv1d(2, 3, 1)
    model.groups = 0
    assert declared(model)["weight"] is None


def test_unknown_classes_declare_nothing() -> None:
    assert declared_shapes({"layer": "torch.nn.modules.activation.ReLU"}) == {}
    assert declared_shapes({}) == {}


def test_two_classes_of_one_name_declare_each_their_own() -> None:
    def first() -> type[nn.Module]:
        class Layer(nn.Linear):
            pass

        return Layer

    def second() -> type[nn.Module]:
        class Layer(nn.Conv1d):
            pass

        return Layer

    model = nn.Sequential(first()(3, 2), second()(3, 2, 5))
    assert declared(model) == {"0.weight": (2, 3), "0.bias": (2,), "1.weight": (2, 3, 5), "1.bias": (2,)}
