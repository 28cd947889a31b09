"""e3nn: equivariant layers, and a user's network of them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from e3nn import nn as enn
from e3nn import o3
from torch import nn

from crater.built import Built

HINTS = {
    "irreps_in": "8x0e + 4x1o",
    "irreps_out": "8x0e + 4x1o",
    "irreps_in1": "4x0e + 2x1o",
    "irreps_in2": "1x0e + 1x1o",
    "irreps": "8x0e + 4x1o",
    "irreps_hidden": "4x0e",
    "l": 1,
    "lmax": 2,
    "acts": lambda: [torch.tanh, None],
    "normalize": True,
    "res": 10,
    "lmax1": 1,
    "irreps_scalars": "4x0e",
    "irreps_gates": "2x0e",
    "irreps_gated": "2x1o",
    "act_scalars": lambda: [torch.tanh],
    "act_gates": lambda: [torch.sigmoid],
    "hs": lambda: [4, 8, 2],
    "act": lambda: torch.tanh,
}


def layers() -> Iterator[Built]:
    """As its documentation builds them."""
    x = torch.randn(2, o3.Irreps("8x0e + 4x1o").dim)
    yield Built(o3.Linear("8x0e + 4x1o", "4x0e + 4x1o"), (x,), name="Linear")
    yield Built(
        o3.FullyConnectedTensorProduct("8x0e + 4x1o", "1x0e + 1x1o", "4x0e + 4x1o"),
        (x, torch.randn(2, 4)),
        name="TensorProduct",
    )
    yield Built(enn.BatchNorm("8x0e + 4x1o"), (x,), name="BatchNorm")
    yield Built(enn.FullyConnectedNet([4, 8, 2], torch.tanh), (torch.randn(2, 4),), name="FullyConnectedNet")


class Convolution(nn.Module):
    """A tensor product whose weights are learned from distances."""

    def __init__(self) -> None:
        super().__init__()
        self.product = o3.FullyConnectedTensorProduct(
            "8x0e + 4x1o", "1x0e + 1x1o", "4x0e + 4x1o", shared_weights=False
        )
        self.weights = enn.FullyConnectedNet([4, 8, self.product.weight_numel], torch.nn.functional.silu)
        self.gate = enn.Gate("2x0e", [torch.tanh], "2x0e", [torch.sigmoid], "2x1o")
        self.mix = o3.Linear("4x0e + 4x1o", self.gate.irreps_in)

    def forward(self, x: torch.Tensor, where: torch.Tensor, far: torch.Tensor) -> torch.Tensor:
        sphere = o3.spherical_harmonics("1x0e + 1x1o", where, normalize=True)
        return self.gate(self.mix(self.product(x, sphere, self.weights(far))))


def as_user_code() -> Built:
    """A user's layer."""
    return Built(Convolution(), (torch.randn(2, 20), torch.randn(2, 3), torch.randn(2, 4)))
