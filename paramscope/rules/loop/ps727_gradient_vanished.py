"""A weight that had a gradient in every step gets none any more.

What it finds
: A slot that still requires grad and stands in the optimizer, had a gradient in each of the first five steps or more,
  and has had none since, for ten steps and for a tenth of those before, while others of the same optimizer have
  theirs.

Why it matters
: Something cut it off: a branch that is no longer run, a `detach()`, `no_grad` or `.data` on a path that is taken
  now, a module that was swapped. Optimizers pass over what has no gradient, so that it silently stays as it is.

Example
```python
import torch
from torch import nn

model = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 1)])
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def step(number):
    optimizer.zero_grad()
    hidden = model[0](torch.randn(8, 4))
    if number > 6:
        hidden = hidden.detach()
    model[1](hidden).square().mean().backward()
    optimizer.step()
```

Instead
```python
import torch
from torch import nn

model = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 1)])
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def step(number):
    optimizer.zero_grad()
    hidden = model[0](torch.randn(8, 4))
    model[1](hidden).square().mean().backward()
    optimizer.step()
```

When it is wrong to follow it
: Where a part is trained in the first phase only: freeze it then; or where parts that were trained together take
  turns from then on, by ten steps and more. Silent for what has gradients now and then, as
  experts, tasks in turn and dropped layers have, where other slots had their first gradient since, and where
  gradients are zeroed rather than set to None.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.loop.seen import Step
from paramscope.rules.rule import Problem, Rule

RULE = Rule("PS727", "gradient-vanished", Severity.WARNING, needs="loop")

_STEADY = 5
"""Steps with a gradient, from the first on, that make one expected."""
_LONG = 10
"""Steps without one before anything is said."""


def check(step: Step) -> Iterator[Problem]:
    """Slots that lost their gradients for good."""
    for gap in step.gaps:
        if gap.got >= _STEADY and gap.missed >= max(_LONG, gap.got // 10) and not gap.is_relieved:
            yield Problem(
                (gap.path,),
                "{0} had {0|a gradient|gradients} in each of "
                f"the first {gap.got} steps and none in the {gap.missed} up to {step.words}, "
                "though {0|it still requires|they still require} grad and others have theirs.",
                "Look for what cuts {0} off from the loss: a branch that is not run, detach(), no_grad. Freeze what "
                "is to stay as it is: requires_grad_(False).",
                blame=None,
                alike=(gap.got, gap.missed),
            )
