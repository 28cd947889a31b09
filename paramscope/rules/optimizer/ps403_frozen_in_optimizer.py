"""A frozen parameter is in a param group.

What it finds
: A registered parameter with `requires_grad=False` in an optimizer; an error if it still has a `.grad`. The line is
  the one that builds the optimizer, if it is found in the files that define the model's classes.

Why it matters
: An optimizer looks at `.grad`, not at `requires_grad`: with a gradient left over from before the freezing, each step
  keeps changing the parameter, through momentum and weight decay as well. Without one it is simply skipped.

Example
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model(torch.ones(1, 4)).sum().backward()
model[0].requires_grad_(False)
```

Instead
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model(torch.ones(1, 4)).sum().backward()
optimizer.zero_grad()
model[0].requires_grad_(False)
optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1)
```

When it is wrong to follow it
: Without a gradient it is information only: passing all of `parameters()` is common, and lets you unfreeze later
  without touching the optimizer.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.optimizer._lines import builder
from paramscope.rules.optimizer._members import distinct
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS403", "frozen-in-optimizer", Severity.INFO, needs="optimizer")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Frozen slots in param groups, with a gradient and without."""
    for has_grad, (message, instead, severity) in _TOLD.items():
        kinds = [kind for kind in facts.slot_kinds if kind.is_frozen and kind.groups and kind.has_grad is has_grad]
        for slot, further in distinct(facts, kinds):
            paths = tuple(facts.paths([slot, *further]))
            yield Problem(paths, message, instead, severity, blame=builder(facts), alike=has_grad)


_TOLD = {
    True: (
        "An optimizer holds {0}, frozen but with a gradient from before: each step keeps changing it.",
        "Set its .grad to None when you freeze it, as zero_grad() does, or build the optimizer without it.",
        Severity.ERROR,
    ),
    False: (
        "An optimizer holds {0}, though frozen: steps skip {0|it|them} as long as there is no gradient.",
        "Hand over what trains: [p for p in model.parameters() if p.requires_grad].",
        None,
    ),
}
