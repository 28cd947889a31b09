"""Which of its own sizes a torch.nn layer asks for in its forward: told by `declared`, and by running the forward."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from paramscope import capture
from paramscope.snapshot.declared import LAYERS, is_unread

Inputs = tuple[torch.Tensor, ...]
CASES: dict[str, tuple[Callable[[], nn.Module], Inputs]] = {
    "Linear": (lambda: nn.Linear(4, 6), (torch.rand(2, 4),)),
    "Bilinear": (lambda: nn.Bilinear(3, 4, 5), (torch.rand(2, 3), torch.rand(2, 4))),
    "Embedding": (lambda: nn.Embedding(5, 3, padding_idx=1), (torch.tensor([1, 2]),)),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(5, 3), (torch.tensor([[1, 2]]),)),
    "PReLU": (lambda: nn.PReLU(3), (torch.rand(2, 3) - 0.5,)),
    "LayerNorm": (lambda: nn.LayerNorm(4), (torch.rand(2, 4),)),
    "RMSNorm": (lambda: nn.RMSNorm(4), (torch.rand(2, 4),)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (torch.rand(2, 4, 3),)),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(4, affine=True), (torch.rand(2, 4, 3),)),
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3, padding=1, padding_mode="circular"), (torch.rand(2, 4, 6),)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(4, 6, 3), (torch.rand(2, 4, 6),)),
    "RNNCell": (lambda: nn.RNNCell(3, 4), (torch.rand(2, 3),)),
    "LSTMCell": (lambda: nn.LSTMCell(3, 4), (torch.rand(2, 3),)),
    "GRUCell": (lambda: nn.GRUCell(3, 4), (torch.rand(2, 3),)),
    "GRU": (lambda: nn.GRU(3, 4), (torch.rand(5, 2, 3),)),
    "MultiheadAttention": (
        lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=5),
        (torch.rand(2, 2, 4), torch.rand(6, 2, 3), torch.rand(6, 2, 5)),
    ),
}
SIZES = frozenset(
    {
        *("in_features", "out_features", "in1_features", "in2_features", "num_embeddings", "embedding_dim"),
        *("num_parameters", "normalized_shape", "num_channels", "num_features", "in_channels", "out_channels"),
        *("kernel_size", "groups", "input_size", "hidden_size", "embed_dim", "kdim", "vdim"),
    }
)
"""Settings that shapes are made of."""


def _lied(value: Any) -> Any:
    return tuple(size + 1 for size in value) if isinstance(value, tuple) else value + 1


def _result(module: nn.Module, inputs: Inputs) -> torch.Tensor | None:
    """What a forward gives; None where it fails."""
    try:
        result = module(*inputs)
    except (RuntimeError, ValueError, AssertionError):
        return None
    while isinstance(result, tuple):
        result = result[0]
    assert isinstance(result, torch.Tensor)
    return result


@pytest.mark.parametrize("name", CASES)
def test_a_size_that_is_called_unread_changes_nothing_and_one_that_breaks_the_forward_is_not(name: str) -> None:
    make, inputs = CASES[name]
    right = make()
    expected = _result(right, inputs)
    assert expected is not None
    record = capture(right).modules[""]
    held = {slot.name: slot.shape for slot in capture(right).slots.records() if slot.shape}
    settings = dict(record.settings)
    layer = str(settings["layer"])
    for size in SIZES.intersection(LAYERS[layer].settings):
        lying = copy.deepcopy(right)
        setattr(lying, size, _lied(getattr(lying, size)))
        works = (found := _result(lying, inputs)) is not None and torch.equal(found, expected)
        told = is_unread({**settings, size: getattr(lying, size)}, held)
        assert told is works, f"{name}.{size}"


def test_what_does_not_fit_the_other_slots_is_not_called_unread() -> None:
    settings = {"layer": "torch.nn.modules.linear.Linear", "in_features": 4, "out_features": 12}
    assert is_unread(settings, {"weight": (10, 4)})
    assert not is_unread(settings, {"weight": (10, 4), "bias": (12,)})
    assert not is_unread(settings, {"weight": (10, 4, 1)})
    assert not is_unread({"layer": "an.own.Layer"}, {"weight": (10, 4)})
