"""A copy of the model will fail.

What it finds
: A non-leaf tensor, computed from others and with a graph behind it, that `copy.deepcopy` of the model would meet: in
  an attribute, in a container or an object, as a buffer; and what the old `weight_norm`, `spectral_norm` (after a
  forward) and pruning keep as the weight of a layer.

Why it matters
: torch copies only leaves: `copy.deepcopy(model)` raises "Only Tensors created explicitly by the user (graph leaves)
  support the deepcopy protocol at the moment". Averages (`AveragedModel`, EMA), target networks and ensembles begin
  with that copy, and so do many trainers.

Example
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)
        self.penalty = None

    def forward(self, x):
        self.penalty = self.lin(x).abs().mean()
        return self.penalty

model = Net()
model(torch.ones(2, 4)).backward()
```

Instead
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)
        self.penalty = None

    def forward(self, x):
        penalty = self.lin(x).abs().mean()
        self.penalty = penalty.detach()
        return penalty

model = Net()
model(torch.ones(2, 4)).backward()
```

When it is wrong to follow it
: Where nobody copies the model. A class that defines `__deepcopy__`, `__reduce__` or `__getstate__` decides itself
  what a copy holds, and what only closures hold is not copied: neither is reported. Nor is a tensor for which a worse
  problem is reported (PS109, PS113).
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.places import upwards
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule(
    "PS115",
    "copy-will-fail",
    Severity.INFO,
    yields_to=("PS109", "PS113"),
    yields_from=Severity.WARNING,
)

_INSTEAD = {
    "weight_norm": "Use torch.nn.utils.parametrizations.weight_norm, which keeps no such tensor.",
    "spectral_norm": "Use torch.nn.utils.parametrizations.spectral_norm, which keeps no such tensor.",
    "pruning": "Make the pruning permanent before you copy: torch.nn.utils.prune.remove(module, name).",
    "": "Keep it without its graph, ….detach(), or set it to None before you copy.",
}


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """What deepcopy refuses."""
    for kind in facts.slot_kinds:
        if kind.role == "parameter" or kind.is_leaf or kind.spec is None:
            continue
        for position in kind.slots:
            path = facts.slots.path_at(position)
            instead = _INSTEAD.get(_recomputed_by(facts, path))
            if instead is None or not _is_copied(facts, position, path):
                continue
            yield Problem(
                (path,),
                "copy.deepcopy of this model raises, and so does whatever begins with it (an average, an EMA, a "
                "target network): torch refuses to copy a tensor with a graph behind it, as here {0}.",
                instead,
                alike="copy",
                cause="any" if _recomputed_by(facts, path) else "graph",
            )


def _recomputed_by(facts: Facts, path: str) -> str:
    """What computes a tensor anew before each forward; empty where nothing does."""
    return next((oddity.name for oddity in facts.oddities_at.get(path, ()) if oddity.kind == "recomputed"), "")


def _is_copied(facts: Facts, slot: int, path: str) -> bool:
    """Whether a copy of the model would copy what a slot holds, and nobody's own code decides on it."""
    if "::" in path or any(oddity.kind == "not-copied" for oddity in facts.oddities_at.get(path, ())):
        return False
    apart = facts.once("not-copied", lambda: frozenset(oddity.path for oddity in facts.oddities("not-copied")))
    above = upwards(facts, facts.snapshot.slot_columns.modules[slot]) if apart else ()
    return apart.isdisjoint(map(facts.modules.path_at, above))
