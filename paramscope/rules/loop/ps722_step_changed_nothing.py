"""Weights have gradients and are stepped, and stay the same.

What it finds
: Weights of which the same elements were looked at in five steps in a row and found unchanged, though the optimizer
  holds them and each step had a gradient and a learning rate that are large enough to move one. And models of which
  the optimizers hold nothing, whose weights have gradients and stay the same: the optimizer was built for another
  model, or for what this one was before it was wrapped.

Why it matters
: Nothing raises: the loss is computed, backward runs, `step()` returns, and nothing is learned.

Example
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(nn.Linear(4, 1).parameters(), lr=0.01)


def step(number):
    model.zero_grad()
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
: Where an optimizer saves up gradients over five steps or more and moves then, or keeps all of a weight at a bound
  itself; or where another program moves the weights. Silent where the learning rate is zero, where a gradient scaler
  skips the step, where the optimizer looks for where to go (LBFGS), and where all of it could be lost to rounding, as
  in 16 bits, or where far larger gradients came before.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.loop.seen import Step
from paramscope.rules.rule import Problem, Rule

RULE = Rule("PS722", "step-changed-nothing", Severity.ERROR, needs="loop")

_SEVERAL = 5
"""Steps in a row before anything is said."""


def check(step: Step) -> Iterator[Problem]:
    """Slots that are stepped and stay the same."""
    for path, steps in step.still.items():
        if steps >= _SEVERAL:
            yield Problem(
                (path,),
                "{0} {0|has a gradient|have gradients}, {0|is|are} stepped, and {0|is|are} what {0|it was|they were} "
                f"{steps} steps before {step.words}, in all elements that were looked at.",
                "Look at what optimizer.step() does: it has to change the tensors that it holds, in place.",
                blame=None,
                alike=steps,
            )
    for path, steps in step.still_outside.items():
        if steps >= _SEVERAL:
            yield Problem(
                (path,),
                "{0} {0|has a gradient|have gradients}, and {0|is|are} what {0|it was|they were} "
                f"{steps} steps before {step.words}: the optimizers hold none of the model's parameters.",
                "Build the optimizer from the parameters of this very model, after all that wraps or replaces them.",
                blame=None,
                alike=steps,
            )
