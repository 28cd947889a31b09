"""pyro-ppl: PyroModules, guides after a step, and a user's Bayesian network."""

from __future__ import annotations

from collections.abc import Iterator

import pyro
import torch
from pyro import distributions as dist
from pyro.contrib import gp
from pyro.infer import SVI, Trace_ELBO
from pyro.infer.autoguide import (
    AutoDelta,
    AutoDiagonalNormal,
    AutoIAFNormal,
    AutoLowRankMultivariateNormal,
    AutoMultivariateNormal,
    AutoNormal,
)
from pyro.nn import PyroModule, PyroSample
from torch import nn

from crater.built import Built

BEFORE = pyro.clear_param_store
ROOTS = (
    "pyro.nn",
    "pyro.distributions",
    "pyro.infer",
    "pyro.contrib.gp",
    "pyro.contrib.tracking",
    "pyro.contrib.timeseries",
)
HINTS = {
    "input_dim": 2,
    "input_dims": 2,
    "X": lambda: torch.randn(4, 2),
    "y": lambda: torch.randn(4),
    "kernel": lambda: gp.kernels.RBF(2),
    "hidden_dims": [16],
    "count_params": 2,
}


class Bayesian(PyroModule):
    """A regression with priors."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = PyroModule[nn.Linear](3, 1)
        self.linear.weight = PyroSample(dist.Normal(0.0, 1.0).expand([1, 3]).to_event(2))
        self.linear.bias = PyroSample(dist.Normal(0.0, 10.0).expand([1]).to_event(1))

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        sigma = pyro.sample("sigma", dist.Uniform(0.0, 10.0))
        mean = self.linear(x).squeeze(-1)
        with pyro.plate("data", x.shape[0]):
            pyro.sample("obs", dist.Normal(mean, sigma), obs=y)
        return mean


def guides_as_user_code() -> Iterator[Built]:
    """Model and guide, after a step of SVI."""
    for make in (
        AutoDelta,
        AutoNormal,
        AutoDiagonalNormal,
        AutoMultivariateNormal,
        AutoLowRankMultivariateNormal,
        AutoIAFNormal,
    ):
        pyro.clear_param_store()
        model = Bayesian()
        guide = make(model)
        svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.01}), Trace_ELBO())
        yield Built(
            {"model": model, "guide": guide},
            step=lambda svi=svi: svi.step(torch.randn(8, 3), torch.randn(8)),
            name=make.__name__,
        )


def processes() -> Iterator[Built]:
    """Its own Gaussian processes."""
    x, y = torch.randn(8, 2), torch.randn(8)
    kernel = gp.kernels.Sum(gp.kernels.RBF(2), gp.kernels.WhiteNoise(2))
    yield Built(gp.models.GPRegression(x, y, gp.kernels.RBF(2)), name="GPRegression")
    yield Built(gp.models.SparseGPRegression(x, y, kernel, Xu=x[:4].clone()), name="Sparse")
    yield Built(
        gp.models.VariationalSparseGP(
            x, y, gp.kernels.Matern52(2), Xu=x[:4].clone(), likelihood=gp.likelihoods.Gaussian()
        ),
        name="Variational",
    )


def flows() -> Iterator[Built]:
    """Transforms with parameters."""
    from pyro.distributions import transforms as T  # noqa: N812

    for name, make in {
        "affine_autoregressive": lambda: T.affine_autoregressive(4),
        "spline_coupling": lambda: T.spline_coupling(4, count_bins=4),
        "planar": lambda: T.planar(4),
        "radial": lambda: T.radial(4),
        "batchnorm": lambda: T.batchnorm(4),
        "householder": lambda: T.householder(4),
        "neural_autoregressive": lambda: T.neural_autoregressive(4),
        "matrix_exponential": lambda: T.matrix_exponential(4),
    }.items():
        yield Built(make(), name=name)


class VAE(nn.Module):
    """The tutorial's: two networks, and methods that are model and guide."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(16, 8)
        self.decoder = nn.Linear(4, 16)
        self.flow = nn.ModuleList([dist.transforms.affine_autoregressive(4), dist.transforms.planar(4)])

    def model(self, x: torch.Tensor) -> None:
        pyro.module("decoder", self.decoder)
        with pyro.plate("data", x.shape[0]):
            z = pyro.sample("latent", dist.Normal(x.new_zeros(x.shape[0], 4), 1.0).to_event(1))
            pyro.sample("obs", dist.Normal(self.decoder(z), 1.0).to_event(1), obs=x)

    def guide(self, x: torch.Tensor) -> None:
        pyro.module("encoder", self.encoder)
        with pyro.plate("data", x.shape[0]):
            mean, log = self.encoder(x).chunk(2, -1)
            pyro.sample("latent", dist.Normal(mean, log.exp()).to_event(1))


def vae_as_user_code() -> Built:
    """Trained by SVI."""
    pyro.clear_param_store()
    model = VAE()
    svi = SVI(model.model, model.guide, pyro.optim.Adam({"lr": 1e-3}), loss=Trace_ELBO())
    return Built(model, step=lambda: svi.step(torch.randn(8, 16)))
