"""Updates are too small for the weights' own precision.

What it finds
: Trainable weights in bfloat16 or float16 under a torch optimizer, with a learning rate so small that subtracting it
  from a weight of 1.0 changes nothing.

Why it matters
: An update that is less than half the distance to the next number is rounded away, in every step: after 100 steps of
  AdamW at 1e-5, weights of 1.0 in bfloat16 are what they were. Small weights move, large ones do not.

Example
```python
import torch
from torch import nn

model = nn.Linear(4, 2).bfloat16()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
```

Instead
```python
import torch
from torch import nn

model = nn.Linear(4, 2)  # float32; compute under torch.autocast("cuda", torch.bfloat16)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
```

When it is wrong to follow it
: It is information only: if the weights are small enough, and for adapters that start from zero, training works. An
  optimizer with float32 copies, or with stochastic rounding, loses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.optimizer._members import class_name, distinct, groups, number_of, torch_class
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import Membership

RULE = Rule("PS410", "update-below-precision", Severity.INFO, needs="optimizer")

_BITS = {"bfloat16": 8, "float16": 11}
"""Of the significand, with the one that is not stored."""
_BY_OTHER_MEANS = frozenset({"Adadelta", "Adafactor", "LBFGS", "Rprop"})
"""Their updates are not of the size of the learning rate."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Weights in half precision, by their group and type."""
    found: dict[tuple[Membership, str], list[SlotKind]] = {}
    for kind in facts.slot_kinds:
        if kind.is_trainable and kind.groups and kind.spec is not None and kind.spec.dtype in _BITS:
            for at in dict.fromkeys(kind.groups):
                found.setdefault((at, kind.spec.dtype), []).append(kind)
    for (at, dtype), kinds in found.items():
        optimizer, group = groups(facts)[at]
        known = torch_class(optimizer)
        # A scheduler lowers the rate for a while: what it started from tells what is meant.
        rate = max(number_of(group, "lr") or 0.0, number_of(group, "initial_lr") or 0.0)
        if (
            optimizer.steps_copies
            or known is None
            or known in _BY_OTHER_MEANS
            or not 0 < rate <= 2.0 ** -(_BITS[dtype] + 1)
        ):
            continue
        for slot, further in distinct(facts, kinds):
            yield Problem(
                tuple(facts.paths([slot, *further])),
                f"With a learning rate of {rate:g}, {class_name(optimizer)} cannot change weights of about "
                f"{_lost_from(rate, dtype):.1g} or more in {{0}}: in {dtype}, an update of that size is rounded "
                "away.",
                f"Keep the weights in float32 and compute in {dtype} under torch.autocast, or step float32 copies.",
                blame=None,
                alike=at,
            )


def _lost_from(rate: float, dtype: str) -> float:
    """The size of weights from which on an update by the rate leaves them as they are."""
    # Between 2**e and 2**(e + 1) numbers lie 2**(e + 1 - bits) apart; less than half of that is lost.
    return 2.0 ** (math.floor(math.log2(rate)) + 1 + _BITS[dtype])
