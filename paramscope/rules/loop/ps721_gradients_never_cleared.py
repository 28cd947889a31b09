"""The gradients of one step are still in the sum of the next.

What it finds
: A gradient that, when backward adds to it, is still what the optimizer used in its last step, and goes into the next
  one with it. paramscope listens to a few slots of each optimizer; the finding names those. Several backward passes
  before one step are accumulation, and fine.

Why it matters
: `backward()` adds to `.grad` and never clears it. Without `zero_grad()` each step goes along the sum of all
  gradients since the beginning: the loss often still falls for a while, and then rises.

Example
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def step(number):
    model(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()
```

Instead
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def step(number):
    optimizer.zero_grad()
    model(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()
```

When it is wrong to follow it
: Where a sum over several steps is meant, as some asynchronous schemes do. Silent for gradients that are scaled, or
  otherwise changed, between the two steps, as a momentum of one's own does, and for those that `zero_grad` clears
  before the next backward pass that counts, as in a GAN's other half.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.loop.seen import Step
from paramscope.rules.rule import Problem, Rule

RULE = Rule("PS721", "gradients-never-cleared", Severity.ERROR, needs="loop")


def check(step: Step) -> Iterator[Problem]:
    """Gradients that were carried over."""
    for path in step.carried:
        yield Problem(
            (path,),
            f"At {step.words}, the "
            + "{0|gradient|gradients} of {0} {0|was|were} still what the step before had used when backward "
            "added to {0|it|them}: nothing cleared {0|it|them} in between, and the step goes along the sum of both.",
            "Call optimizer.zero_grad() once for each optimizer.step(): before backward(), or after the step.",
            blame=None,
            alike=step.words,
        )
