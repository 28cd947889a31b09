"""A step of the optimizer did not change a parameter that has a gradient.

What it finds
: A trainable parameter in a param group, with a gradient that is not zero, that the step left bit for bit as it
  was: either nothing of its group changed, or others of the group did whose gradients are no larger. Not where the
  learning rate is 0, as at the start of a warm-up.

Why it matters
: It is not trained, though everything says that it is. The usual causes: an update below the precision of its
  dtype, a `step()` of one's own that forgets it, a wrapper that steps later, a hook that puts the old values back.

Example
```python
import torch
from torch import nn


class Forgetful(torch.optim.SGD):
    def step(self, closure=None):
        pass


model, inputs = nn.Linear(4, 1), torch.ones(3, 4)
optimizer = Forgetful(model.parameters(), lr=0.1)
```

Instead
```python
import torch
from torch import nn

model, inputs = nn.Linear(4, 1), torch.ones(3, 4)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
```

When it is wrong to follow it
: With an optimizer that steps only every few calls, to accumulate gradients. Where PS410 says that updates fall
  below the precision of the dtype, this rule does not speak.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal
from paramscope.rules.optimizer._lines import builder_of
from paramscope.rules.optimizer._members import class_name, number_of
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.runtime._regions import Trained, is_loss_made, reach
from paramscope.snapshot import Membership

RULE = Rule("PS706", "stepped-but-unchanged", Severity.WARNING, needs="step", yields_to=("PS211", "PS410"))


_ROUNDING = 1e-5
"""Root mean square below which a gradient may be the rounding of a sum that does not depend on the parameter."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Stepped tensors with a gradient, group by group."""
    run = facts.snapshot.run
    if run is None or not run.loss_requires_grad:
        return
    # Of a sum that nobody trains by, some gradients are nothing but rounding.
    least = _ROUNDING if is_loss_made(facts) else 0.0
    groups: dict[Membership, list[Trained]] = defaultdict(list)
    for each in reach(facts).reached:
        for membership in facts.slots.at(each.slot).groups:
            if each.run.grad == "finite":
                groups[membership].append(each)
    optimizers = {optimizer.name: optimizer for optimizer in facts.optimizers}
    for membership, members in groups.items():
        optimizer = optimizers[membership.optimizer]
        if number_of(optimizer.groups[membership.group], "lr") == 0:
            continue
        changed = [_gradient(facts, each) for each in members if "step" in each.run.changed_by]
        for each in members:
            gradient = _gradient(facts, each)
            if "step" in each.run.changed_by or gradient < least or (changed and gradient < min(changed)):
                continue
            path = facts.slots.path_at(each.slot)
            kind = literal(class_name(optimizer))
            yield Problem(
                (path, *facts.paths(each.further)),
                f"{{0}} {{0|has a gradient and is|have gradients and are}} stepped by {kind}, whose step did not "
                + ("change {0|it|them}." if changed else "change anything in {0|its|their} group."),
                "See whether the update is below the precision of the dtype (a higher learning rate, float32 "
                "weights), and what step() does with {0|it|them}.",
                blame=builder_of([membership]),
                alike=(membership, bool(changed)),
            )


def _gradient(facts: Facts, trained: Trained) -> float:
    """Root mean square of a gradient."""
    return (trained.run.grad_norm or 0.0) / math.sqrt(facts.slots.at(trained.slot).numel or 1)
