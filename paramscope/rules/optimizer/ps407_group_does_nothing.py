"""A param group changes nothing.

What it finds
: A group whose learning rate is currently 0, with no scheduler known: the group has no `initial_lr`, and no scheduler
  was passed with the optimizer; and, as information, a group without members. The line is the one that builds the
  optimizer, if it is found in the files that define the model's classes.

Why it matters
: As long as the rate is 0, its parameters are stepped and stay as they are; whether a loop sets it is not known. A
  group is empty when a filter by name matched nothing: what it was meant for has other settings, or none.

Example
```python
import torch
from torch import nn

model = nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
```

Instead
```python
import torch
from torch import nn

model = nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
```

When it is wrong to follow it
: A loop that sets the learning rate by hand before each step may start from 0: set its first value when the
  optimizer is built, or declare that.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.optimizer._members import number_of, place
from paramscope.rules.rule import Blame, Problem, Rule, Undecided

RULE = Rule("PS407", "group-does-nothing", Severity.WARNING, needs="optimizer")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Groups by their settings and members."""
    for optimizer in facts.optimizers:
        for group in optimizer.groups:
            path = place(optimizer, group.index)
            if not group.slots and not group.foreign:
                yield Problem(
                    (path,),
                    "{0} {0|has|have} no members: what {0|it was|they were} meant for has other settings, or is "
                    "in no group.",
                    "Check the filter that fills it, or leave the group out.",
                    Severity.INFO,
                    blame=Blame.optimizer(optimizer.name),
                )
            elif number_of(group, "lr") == 0 and not optimizer.schedulers and "initial_lr" not in dict(group.options):
                yield Problem(
                    (path,),
                    "The learning rate of {0} is 0 now, and no scheduler is known: as long as it is 0, steps change "
                    "nothing there.",
                    "Give it a learning rate, or freeze its parameters: requires_grad_(False). A loop that sets the "
                    "rate before each step may start from its first value.",
                    blame=Blame.optimizer(optimizer.name),
                )
