"""A frozen norm still updates its running statistics.

What it finds
: A norm in training mode with running statistics, of which all parameters are frozen; an affine-free one where every
  parameter under its parent is frozen.

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
: Where the statistics are meant to follow the new data, as in domain adaptation; declare it.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts, ModuleKind
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS202", "frozen-norm-updates-statistics", Severity.WARNING)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Norms in training mode that own statistics."""
    statistics = {
        kind.owner.number
        for kind in facts.slot_kinds
        if kind.name == "running_mean" and kind.role == "buffer" and kind.spec is not None and kind.is_registered
    }
    for owner, modules in facts.module_kinds if statistics else ():
        if owner.number not in statistics or not owner.training or not _drifts(owner):
            continue
        for module in modules:
            if _is_frozen(facts, module):
                yield Problem(
                    (facts.modules.path_at(module),),
                    "{0} is frozen but in training mode: each forward still moves its running_mean and running_var.",
                    "Put it into eval mode: {0}.eval(), again after every model.train().",
                    blame=None,
                    alike=("norm",),
                )


def _drifts(owner: ModuleKind) -> bool:
    return owner.settings.get("momentum", 0.1) != 0


def _is_frozen(facts: Facts, module: int) -> bool:
    own = [slot for slot in facts.slots_of(module) if slot.role == "parameter" and slot.status != "empty"]
    if own:
        return all(slot.frozen for slot in own)
    parent = facts.parents[module]
    if parent < 0 or not facts.is_training_something:
        return False
    beside = [
        slot
        for each in facts.subtree(parent)
        for slot in facts.slots_of(each)
        if slot.role == "parameter" and slot.status != "empty"
    ]
    return bool(beside) and all(slot.frozen for slot in beside)
