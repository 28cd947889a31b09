"""The model was put in eval mode, and is trained on in it.

What it finds
: A model that was in training mode in one step and is in eval mode in the next, and has modules that do something
  else in each: dropout, batch norms, and whatever asks for `self.training`.

Why it matters
: Validation calls `model.eval()`. Without `model.train()` after it, dropout stays off and batch norms use, and no
  longer update, their running statistics, from the first validation on.

Example
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def step(number):
    optimizer.zero_grad()
    model(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()
    if number == 3:
        model.eval()
        with torch.no_grad():
            model(torch.randn(8, 4))
```

Instead
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def step(number):
    model.train()
    optimizer.zero_grad()
    model(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()
    if number == 3:
        model.eval()
        with torch.no_grad():
            model(torch.randn(8, 4))
```

When it is wrong to follow it
: Where the last phase of a training is in eval mode on purpose, to freeze the statistics of all batch norms. Silent
  for models that are in eval mode from the first step, and for single modules that are put in it.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.loop.seen import Step
from paramscope.rules.naming import placeholders
from paramscope.rules.rule import Problem, Rule

RULE = Rule("PS724", "mode-flipped", Severity.WARNING, needs="loop")


def check(step: Step) -> Iterator[Problem]:
    """Roots that were left in eval mode."""
    for flip in step.flips:
        asking = placeholders(len(flip.modules) + 1, 1)
        yield Problem(
            (flip.path, *flip.modules),
            f"At {step.words}, "
            "{0} is in eval mode, and was in training mode at the step before: "
            f"{asking} {'ask' if len(flip.modules) > 1 else 'asks'} for it.",
            "Call model.train() after validation, before training goes on.",
            blame=None,
            alike=flip.path,
        )
