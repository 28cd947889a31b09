"""botorch: surrogate models and acquisition functions."""

from __future__ import annotations

from collections.abc import Iterator

import botorch
import torch
from botorch.acquisition import ExpectedImprovement, qExpectedImprovement, qKnowledgeGradient
from botorch.acquisition.logei import qLogExpectedImprovement
from botorch.models import (
    MixedSingleTaskGP,
    ModelListGP,
    MultiTaskGP,
    SingleTaskGP,
    SingleTaskMultiFidelityGP,
    SingleTaskVariationalGP,
)
from botorch.models.transforms import Normalize, Standardize
from gpytorch.mlls import ExactMarginalLogLikelihood

from crater.built import Built

ROOTS = ("botorch.models", "botorch.acquisition", "botorch.posteriors", "botorch.sampling", "botorch.optim")


def _data(n: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(n, 2, dtype=torch.double)
    return x, x.sum(1, keepdim=True)


def surrogates() -> Iterator[Built]:
    """With the usual transforms."""
    x, y = _data()
    single = SingleTaskGP(x, y, input_transform=Normalize(2), outcome_transform=Standardize(1))
    mll = ExactMarginalLogLikelihood(single.likelihood, single)

    def loss() -> torch.Tensor:
        return -mll(single(*single.train_inputs), single.train_targets)

    yield Built(single, loss=loss, name="SingleTaskGP")
    yield Built(SingleTaskGP(x, y, torch.full_like(y, 0.01)), name="with noise")
    yield Built(ModelListGP(SingleTaskGP(x, y), SingleTaskGP(x, y)), name="ModelListGP")
    yield Built(
        MultiTaskGP(torch.cat([x, torch.tensor([[0.0], [1.0]] * 4, dtype=torch.double)], 1), y, task_feature=-1),
        name="MultiTaskGP",
    )
    yield Built(SingleTaskMultiFidelityGP(x, y, data_fidelities=[1]), name="MultiFidelity")
    yield Built(SingleTaskVariationalGP(x, y, inducing_points=4), name="Variational")
    yield Built(MixedSingleTaskGP(x, y, cat_dims=[1]), name="Mixed")


def after_a_fit() -> Built:
    """Fitted as its documentation does, and asked once."""
    x, y = _data()
    model = SingleTaskGP(x, y, input_transform=Normalize(2), outcome_transform=Standardize(1))
    botorch.fit.fit_gpytorch_mll(
        ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs={"options": {"maxiter": 5}}
    )
    model.posterior(torch.rand(3, 2, dtype=torch.double)).mean.sum().backward()
    return Built(model)


def acquisitions() -> Iterator[Built]:
    """They are modules, too."""
    x, y = _data()
    model = SingleTaskGP(x, y)
    candidates = (torch.rand(1, 2, dtype=torch.double).unsqueeze(0),)
    yield Built(ExpectedImprovement(model, best_f=1.0), candidates, name="EI")
    yield Built(qExpectedImprovement(model, best_f=1.0), candidates, name="qEI")
    yield Built(qLogExpectedImprovement(model, best_f=1.0), candidates, name="qLogEI")
    yield Built(qKnowledgeGradient(model, num_fantasies=2), name="qKG")
