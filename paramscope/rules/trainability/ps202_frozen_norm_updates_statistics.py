"""A frozen norm still updates its running statistics.

What it finds
: A norm in training mode with running statistics whose parameters are all frozen; or one without parameters, where
  every parameter under its parent is frozen and something else is trained.

Why it matters
: `requires_grad_(False)` stops gradients only. Each forward in training mode moves `running_mean` and `running_var`
  towards the new data, so the frozen part changes all the same.

Example
```python
from torch import nn

model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), nn.Flatten(), nn.LazyLinear(2))
model[0].requires_grad_(False)
```

Instead
```python
from torch import nn

model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), nn.Flatten(), nn.LazyLinear(2))
model[0].requires_grad_(False)
model[0].eval()  # again after every model.train()
```

When it is wrong to follow it
: Where the statistics are meant to follow the new data, as in domain adaptation; declare it. In a frozen copy of
  something that is trained (a momentum encoder, a teacher, an average: the same classes, names and shapes elsewhere
  in the model) they usually are: information only. A norm whose own `forward` ignores its mode, and so never updates
  them, is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts, ModuleKind
from paramscope.rules.naming import literal
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.trainability._forwards import words_of_forward
from paramscope.rules.trainability._frozen import is_frozen
from paramscope.rules.twins import copy_around

RULE = Rule("PS202", "frozen-norm-updates-statistics", Severity.WARNING)

_NORM = "torch.nn.modules.batchnorm._NormBase"
_UPDATING = frozenset({"training", "super", "momentum", "num_batches_tracked", "add_", "mul_", "copy_", "lerp_"})
"""What the forward of a norm that updates its statistics says."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Norms in training mode that own statistics."""
    statistics = {
        kind.owner.number
        for kind in facts.slot_kinds
        if kind.name in ("running_mean", "running_var") and kind.role == "buffer" and kind.spec is not None
    }
    for owner, modules in facts.module_kinds if statistics else ():
        if owner.number in statistics and _may_drift(owner):
            found = [module for module in modules if is_frozen(facts, module)]
            does_update = _does_update(facts, owner.type) if found else False
            if does_update is None:
                yield Undecided(f"{facts.modules.path_at(found[0])}: the forward of {owner.type} cannot be read")
            for module in found if does_update else ():
                yield _problem(facts, module, owner.type)


def _problem(facts: Facts, module: int, type: str) -> Problem:
    path = facts.modules.path_at(module)
    copied = copy_around(facts, module)
    if copied is None:
        return Problem(
            (path,),
            "Each forward still moves running_mean and running_var of {0}, frozen but in training mode.",
            "Call .eval() on {0}, again after every model.train().",
            alike=type,
        )
    copy, model = (literal(facts.modules.path_at(each)) or "the root" for each in copied)
    return Problem(
        (path,),
        f"Each forward moves running_mean and running_var of {{0}}: {copy} is frozen, but in training mode. It is "
        f"built like {model}, which is trained, so that may be meant, as in a teacher or a momentum encoder.",
        f"If the statistics are to stay, or are copied from {model}: call .eval() on {{0}}, again after every "
        "model.train().",
        Severity.INFO,
        alike=(type, copied),
    )


def _may_drift(owner: ModuleKind) -> bool:
    of = owner.settings
    is_norm = owner.is_registered and owner.training and of.get("layer") == _NORM
    # Without a momentum the statistics are the mean over all batches.
    return is_norm and of.get("momentum") != 0 and of.get("track_running_stats") is not False


def _does_update(facts: Facts, type: str) -> bool | None:
    """Whether a norm's forward updates statistics; None where its source cannot be read."""
    if not facts.has_own_forward(type):
        return True
    words = words_of_forward(facts, type)
    return None if words is None else not _UPDATING.isdisjoint(words)
