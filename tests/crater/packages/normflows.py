"""normflows: a flow over a base distribution."""

from __future__ import annotations

from collections.abc import Iterator

import normflows as nf
import torch
from torch import nn

from crater.built import Built

HINTS = {
    "shape": 4,
    "num_channels": 4,
    "features": 4,
    "hidden_features": 8,
    "num_hidden_channels": 8,
    "num_input_channels": 4,
    "num_blocks": 1,
    "n_modes": 2,
    "dim": 4,
}


def _flows() -> list[nn.Module]:
    layers: list[nn.Module] = []
    for _ in range(2):
        net = nf.nets.MLP([2, 8, 4], init_zeros=True)
        layers += [
            nf.flows.AffineCouplingBlock(net),
            nf.flows.Permute(4, mode="swap"),
            nf.flows.ActNorm(4),
            nf.flows.LULinearPermute(4),
        ]
    return layers


def models() -> Iterator[Built]:
    """As the README builds them."""
    base = nf.distributions.base.DiagGaussian(4)
    model = nf.NormalizingFlow(base, _flows())
    yield Built(model, loss=lambda: model.forward_kld(torch.randn(8, 4)), name="affine")
    splines = nf.NormalizingFlow(
        nf.distributions.DiagGaussian(4, trainable=False),
        [nf.flows.AutoregressiveRationalQuadraticSpline(4, 1, 8), nf.flows.LULinearPermute(4)],
    )
    yield Built(splines, loss=lambda: splines.forward_kld(torch.randn(8, 4)), name="spline")
    residual = nf.NormalizingFlow(
        nf.distributions.DiagGaussian(4),
        [nf.flows.Residual(nf.nets.LipschitzMLP([4, 8, 4], init_zeros=True, lipschitz_const=0.9))],
    )
    yield Built(residual, name="residual")
    yield Built(
        nf.NormalizingFlow(nf.distributions.GaussianMixture(3, 4), [nf.flows.Planar((4,)), nf.flows.Radial((4,))]),
        name="planar",
    )


class Posterior(nn.Module):
    """A flow under a condition."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 5)
        self.flow = nf.ConditionalNormalizingFlow(
            nf.distributions.DiagGaussian(4, trainable=False),
            [
                nf.flows.MaskedAffineAutoregressive(4, 8, context_features=5, num_blocks=1),
                nf.flows.LULinearPermute(4),
            ],
        )

    def forward(self, x: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        return -self.flow.log_prob(x, self.embed(given))


def as_user_code() -> Built:
    """A user's posterior."""
    return Built(Posterior(), (torch.randn(8, 4), torch.randn(8, 3)))
