"""gpytorch: regression and classification as its examples build them."""

from __future__ import annotations

from collections.abc import Iterator

import gpytorch
import torch
from torch import nn

from crater.built import Built

HINTS = {
    "base_kernel": lambda: gpytorch.kernels.RBFKernel(),
    "base_mean": lambda: gpytorch.means.ConstantMean(),
    "num_tasks": 2,
    "inducing_points": lambda: torch.randn(8, 2),
    "num_inducing_points": 8,
    "num_mixtures": 2,
    "num_dims": 2,
    "active_dims": (0,),
    "likelihood": lambda: gpytorch.likelihoods.GaussianLikelihood(),
}


class Exact(gpytorch.models.ExactGP):
    """The first example."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor, likelihood: nn.Module, kernel: nn.Module) -> None:
        super().__init__(x, y, likelihood)
        self.mean_module = gpytorch.means.ConstantMean()
        self.covar_module = kernel

    def forward(self, x: torch.Tensor) -> gpytorch.distributions.MultivariateNormal:
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


class Variational(gpytorch.models.ApproximateGP):
    """With inducing points."""

    def __init__(self, points: torch.Tensor) -> None:
        distribution = gpytorch.variational.CholeskyVariationalDistribution(points.size(0))
        super().__init__(
            gpytorch.variational.VariationalStrategy(self, points, distribution, learn_inducing_locations=True)
        )
        self.mean_module = gpytorch.means.ConstantMean()
        self.covar_module = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel())

    def forward(self, x: torch.Tensor) -> gpytorch.distributions.MultivariateNormal:
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


class Deep(gpytorch.Module):
    """A network below a Gaussian process."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        self.gp = Variational(torch.randn(8, 2))
        self.scale = gpytorch.utils.grid.ScaleToBounds(-1.0, 1.0)

    def forward(self, x: torch.Tensor) -> gpytorch.distributions.MultivariateNormal:
        return self.gp(self.scale(self.net(x)))


def exact_as_user_code() -> Iterator[Built]:
    """Over several kernels."""
    k = gpytorch.kernels
    for name, kernel in {
        "rbf": k.ScaleKernel(k.RBFKernel()),
        "matern": k.ScaleKernel(k.MaternKernel(ard_num_dims=2)),
        "mixture": k.SpectralMixtureKernel(num_mixtures=2, ard_num_dims=2),
        "sum": k.ScaleKernel(
            k.RBFKernel(
                lengthscale_prior=gpytorch.priors.GammaPriorV(3.0, 6.0)
                if hasattr(gpytorch.priors, "GammaPriorV")
                else gpytorch.priors.GammaPrior(3.0, 6.0)
            )
        )
        + k.LinearKernel(),
        "ski": k.GridInterpolationKernel(k.RBFKernel(), grid_size=8, num_dims=2),
        "sgpr": k.InducingPointKernel(k.RBFKernel(), torch.randn(4, 2), gpytorch.likelihoods.GaussianLikelihood()),
        "rff": k.RFFKernel(8, num_dims=2),
    }.items():
        x, y = torch.randn(8, 2), torch.randn(8)
        likelihood = gpytorch.likelihoods.GaussianLikelihood()
        model = Exact(x, y, likelihood, kernel)
        marginal = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)

        def step(model=model, marginal=marginal, optimizer=optimizer, x=x, y=y) -> None:
            (-marginal(model(x), y)).backward()
            optimizer.step()

        yield Built(model, optimizer=optimizer, step=step, name=name)
        model.eval()
        likelihood.eval()
        with torch.no_grad():
            likelihood(model(torch.randn(3, 2)))
        yield Built(model, optimizer=optimizer, name=f"{name} after a prediction")


def variational_as_user_code() -> Built:
    """With its own marginal likelihood and two optimizers."""
    model, likelihood = Variational(torch.randn(8, 2)), gpytorch.likelihoods.GaussianLikelihood()
    marginal = gpytorch.mlls.VariationalELBO(likelihood, model, num_data=16)
    natural = torch.optim.SGD(model.variational_parameters(), lr=0.1)
    rest = torch.optim.Adam([{"params": model.hyperparameters()}, {"params": likelihood.parameters()}], lr=0.01)

    def step() -> None:
        (-marginal(model(torch.randn(16, 2)), torch.randn(16))).backward()
        natural.step()
        rest.step()

    return Built({"model": model, "likelihood": likelihood}, optimizer=[natural, rest], step=step)


def deep_as_user_code() -> Built:
    """Deep kernel learning."""
    model = Deep()
    return Built(model, loss=lambda: model(torch.randn(16, 4)).mean.pow(2).sum())
