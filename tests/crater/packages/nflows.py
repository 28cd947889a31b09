"""nflows: flows of transforms over a base."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from nflows import transforms
from nflows.distributions import ConditionalDiagonalNormal, StandardNormal
from nflows.flows import Flow, MaskedAutoregressiveFlow, SimpleRealNVP
from torch import nn

from crater.built import Built

HINTS = {
    "features": 4,
    "hidden_features": 8,
    "num_blocks": 1,
    "shape": lambda: [4],
    "num_householder": 2,
    "num_transforms": 2,
    "permutation": lambda: torch.tensor([1, 0, 3, 2]),
    "mask": lambda: torch.tensor([1, 0, 1, 0]),
    "context_features": 4,
}


def flows() -> Iterator[Built]:
    """As the README builds them."""
    steps = []
    for _ in range(2):
        steps += [
            transforms.ReversePermutation(features=4),
            transforms.MaskedAffineAutoregressiveTransform(features=4, hidden_features=8),
        ]
    flow = Flow(transforms.CompositeTransform(steps), StandardNormal(shape=[4]))
    yield Built(flow, loss=lambda: -flow.log_prob(torch.randn(8, 4)).mean(), name="README")
    yield Built(MaskedAutoregressiveFlow(4, 8, 2, 1, batch_norm_between_layers=True), name="MAF")
    nvp = SimpleRealNVP(4, 8, 2, 1, batch_norm_between_layers=True)
    yield Built(nvp, loss=lambda: -nvp.log_prob(torch.randn(8, 4)).mean(), name="RealNVP")
    for name, make in {
        "LU": lambda: transforms.LULinear(4),
        "ActNorm": lambda: transforms.ActNorm(4),
        "cached": lambda: transforms.NaiveLinear(4, using_cache=True),
        "spline": lambda: transforms.MaskedPiecewiseRationalQuadraticAutoregressiveTransform(4, 8),
    }.items():
        transform = make()
        yield Built(
            transform, loss=lambda transform=transform: transform(torch.randn(8, 4))[0].pow(2).mean(), name=name
        )


class Estimator(nn.Module):
    """A conditional flow and its encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(3, 8)
        self.flow = Flow(
            transforms.CompositeTransform(
                [
                    transforms.MaskedAffineAutoregressiveTransform(4, 8, context_features=8),
                    transforms.LULinear(4, using_cache=True),
                ]
            ),
            ConditionalDiagonalNormal([4], context_encoder=nn.Linear(8, 8)),
        )

    def forward(self, x: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        return -self.flow.log_prob(x, self.encoder(given))


def as_user_code() -> Built:
    """A user's estimator."""
    return Built(Estimator(), (torch.randn(8, 4), torch.randn(8, 3)))
