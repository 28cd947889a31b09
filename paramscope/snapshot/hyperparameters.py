"""Words for what optimizers are told: the keys that torch puts into groups, and what people write for others."""

from __future__ import annotations

from typing import Any

PUT_BY_TORCH = frozenset(
    {
        *("params", "param_names", "foreach", "fused", "capturable", "differentiable", "maximize"),
        # Schedulers: LRScheduler, OneCycleLR, CyclicLR, SWALR.
        *("initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr", "swa_momentum"),
    }
)
"""Keys of groups that torch.optim itself reads or writes, in some version, beyond an optimizer's `defaults`."""

SPELLINGS: dict[str, str] = {
    **dict.fromkeys(("learning_rate", "learningrate", "learn_rate", "lrate", "rate", "alpha"), "lr"),
    **dict.fromkeys(("decay", "wd", "l2", "weightdecay", "weight_decay_rate"), "weight_decay"),
    **dict.fromkeys(("beta", "beta1", "beta2"), "betas"),
    "epsilon": "eps",
    "parameters": "params",
    "mom": "momentum",
}
"""What people write for the names that torch.optim uses, in lower case."""

_OF_ADAM: dict[str, Any] = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0}
DEFAULTS: dict[str, dict[str, Any]] = {
    "torch.optim.adam.Adam": _OF_ADAM,
    "torch.optim.adamw.AdamW": {**_OF_ADAM, "weight_decay": 1e-2},
    "torch.optim.nadam.NAdam": {**_OF_ADAM, "lr": 2e-3},
    "torch.optim.radam.RAdam": _OF_ADAM,
    "torch.optim.rmsprop.RMSprop": {"lr": 1e-2, "momentum": 0, "weight_decay": 0},
    "torch.optim.sgd.SGD": {"lr": 1e-3, "momentum": 0, "weight_decay": 0},
}
"""What classes of torch.optim take for an option that they are not given; the same in torch 2.4 to 2.13."""
