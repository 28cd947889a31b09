"""Words for what optimizers are told: the keys that torch puts into groups, and what people write for others."""

from __future__ import annotations

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
