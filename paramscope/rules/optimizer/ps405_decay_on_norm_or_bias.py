"""Weight decay shrinks norms, biases or embeddings.

What it finds
: Trainable norm weights, biases and embeddings in param groups whose `weight_decay` is above 0. All groups with the
  same decay, such as a default, are one finding. The line is the one that builds the optimizer, if it is found in the
  files that define the model's classes.

Why it matters
: Decay pulls them towards zero, where a norm lets nothing through and a bias does nothing; rows of an embedding that
  rarely occur fade between their gradients. Most recipes decay only matrices. AdamW decays by 0.01 unless told
  otherwise.

Example
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
```

Instead
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8))
matrices = [model[0].weight]
others = [model[0].bias, *model[1].parameters()]
optimizer = torch.optim.AdamW([{"params": matrices}, {"params": others, "weight_decay": 0.0}], lr=1e-3)
```

When it is wrong to follow it
: It is information only: plenty of good models were trained with decay on everything, and a tied embedding is an
  output matrix as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.optimizer._lines import builder_of
from paramscope.rules.optimizer._members import distinct, groups, number_of
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS405", "decay-on-norm-or-bias", Severity.INFO, needs="optimizer")

_NORMS = ("torch.nn.modules.batchnorm.", "torch.nn.modules.instancenorm.", "torch.nn.modules.normalization.")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Slots of these kinds in groups that decay."""
    decay = {at: number_of(group, "weight_decay") or 0.0 for at, (_, group) in groups(facts).items()}
    # One decay for many groups, as a default is, is one cause.
    found: dict[float, list[SlotKind]] = {}
    for kind in facts.slot_kinds:
        if kind.is_trainable and kind.groups and _is_usually_spared(kind):
            for value in dict.fromkeys(decay.get(at, 0.0) for at in kind.groups):
                if value > 0:
                    found.setdefault(value, []).append(kind)
    for value, kinds in found.items():
        paths = facts.paths([slot for slot, _ in distinct(facts, kinds)])
        others = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
        them, their = ("them", "their") if others else ("it", "its")
        # NOTE: to fold the names of half the model takes longer than to find them. Problems become one finding with
        # the places of both, in whose message the only place of the first one stands for all.
        for places in (paths[:1], paths):
            yield Problem(
                tuple(places),
                f"A weight decay of {value:g} also shrinks {{0}}{others}: norms, biases and "
                "embeddings are usually spared.",
                f'Give {them} a group of {their} own, {{"params": …, "weight_decay": 0.0}}.',
                blame=builder_of([at for at, each in decay.items() if each == value]),
                alike=value,
            )


def _is_usually_spared(kind: SlotKind) -> bool:
    dims = len(kind.spec.shape) if kind.spec is not None and kind.spec.shape is not None else 2
    if dims == 1 and ("bias" in kind.name.split(".")[-1].split("_") or kind.name == "bias"):
        return True
    layer = str(kind.owner.settings.get("layer", ""))
    if layer.startswith(_NORMS):
        return True
    if layer.startswith("torch.nn.modules.sparse."):
        return kind.name == "weight"
    # Transformers' own norms and those of many users: a vector of scales in a class that says so.
    return dims == 1 and kind.owner.type.rpartition(".")[2].endswith("Norm")
