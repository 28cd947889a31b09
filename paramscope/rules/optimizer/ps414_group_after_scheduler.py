"""A param group was added after the scheduler was created.

What it finds
: A param group without `initial_lr` in an optimizer whose other groups have one: a scheduler stored it there when it
  was created, and this group was added later. The line is the one that builds the optimizer, if it is found in the
  files that define the model's classes.

Why it matters
: A torch scheduler knows only the groups that existed then. With LambdaLR, CosineAnnealingWarmRestarts or OneCycleLR
  its next step raises; others change the rate of the added group in ways that nobody chose, or leave it as it is.

Example
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.9**epoch)
optimizer.add_param_group({"params": model[0].parameters()})
```

Instead
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1)
optimizer.add_param_group({"params": model[0].parameters()})
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.9**epoch)
```

When it is wrong to follow it
: Where the scheduler was discarded and only its `initial_lr` is left. ReduceLROnPlateau sets none, so it cannot be
  judged.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.optimizer._members import place
from paramscope.rules.rule import Blame, Problem, Rule, Undecided

RULE = Rule("PS414", "group-after-scheduler", Severity.WARNING, needs="optimizer")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Groups that lack what the others have."""
    for optimizer in facts.optimizers:
        late = [group for group in optimizer.groups if "initial_lr" not in dict(group.options)]
        if len(late) == len(optimizer.groups):
            continue
        for group in late:
            yield Problem(
                (place(optimizer, group.index),),
                "A scheduler was made before {0} was added (only other groups have an initial_lr): its next step "
                "raises, or skips the group.",
                "Add all groups before the scheduler is made, or make it anew after adding one.",
                blame=Blame.optimizer(optimizer.name),
                alike=optimizer.name,
            )
