"""The run never called a registered module with parameters.

What it finds
: A registered module that the run never called, nor anything in it, and whose trainable parameters the loss does
  not reach in another way either: of several within one another the topmost. Its parameters stand in PS701. Not a
  module of a list or dict of which others are used: these inputs chose others.

Why it matters
: It takes memory, time in each step of the optimizer, and space in each checkpoint, and it is counted as if it
  learned.

Example
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.old_head = nn.Linear(8, 4)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.body(x))


model, inputs = Net(), torch.ones(3, 8)
```

Instead
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.body(x))


model, inputs = Net(), torch.ones(3, 8)
```

When it is wrong to follow it
: Where other inputs, the other mode or another method use it. Information only. A module whose parameters are all
  frozen is not reported: a run does not show whether something reads its weights without calling it.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.places import type_of
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.runtime._regions import reach, region_of

RULE = Rule("PS708", "dead-module", Severity.INFO, needs="run")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """The topmost modules of which nothing was called and nothing is reached."""
    regions = dict.fromkeys(region_of(facts, trained.slot) for trained in reach(facts).unreached)
    for region in regions:
        is_root = facts.parents[region.module] < 0
        if region.is_whole and not (region.is_called or region.has_reached_siblings or is_root):
            yield Problem(
                (facts.modules.path_at(region.module),),
                "{0} {0|holds|hold} trainable parameters, and the run never called {0|it|them}.",
                "If no inputs use {0|it|them}, leave {0|it|them} out.",
                alike=type_of(facts, region.module),
            )
