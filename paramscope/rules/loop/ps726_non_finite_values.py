"""A gradient or a weight became NaN or infinite.

What it finds
: A gradient that holds NaN or infinity when its optimizer is stepped with it, and a weight that holds one after a
  step. Of a large model a part is looked at in each step, and all of it in turn.

Why it matters
: A step with such a gradient writes NaN into the weights, and from then on everything that the model computes is NaN.
  The first slots and the step are where to look.

Example
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def step(number):
    optimizer.zero_grad()
    loss = model(torch.randn(8, 4)).square().mean()
    (loss / 0 if number == 3 else loss).backward()
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
    loss = model(torch.randn(8, 4)).square().mean()
    loss.backward()
    optimizer.step()
```

When it is wrong to follow it
: Where a weight holds an infinity on purpose, as a mask does: make it a buffer. Silent where a gradient scaler skips
  the step, which is what it is for.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.loop.seen import Step
from paramscope.rules.rule import Problem, Rule

RULE = Rule("PS726", "non-finite-values", Severity.ERROR, needs="loop")


def check(step: Step) -> Iterator[Problem]:
    """Gradients and weights that are not finite."""
    for path in step.bad_gradients:
        yield Problem(
            (path,),
            "The {0|gradient|gradients} of {0} {0|holds|hold} NaN or infinity when "
            f"the optimizer begins {step.words}.",
            "Look for NaN in the inputs, and for what divides by, or takes the logarithm or the root of, zero: "
            "torch.autograd.set_detect_anomaly(True) names the operation.",
            blame=None,
            alike=("gradient", step.words),
        )
    for path in step.bad_weights:
        yield Problem(
            (path,),
            "{0} {0|holds|hold} NaN or infinity after " + f"{step.words}.",
            "Go back to the last finite weights; look at the learning rate, and at what the optimizer divides by.",
            blame=None,
            alike=("weight", step.words),
        )
