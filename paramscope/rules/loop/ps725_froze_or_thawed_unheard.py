"""What trains was changed, and the optimizer never heard of it.

What it finds
: A slot that was frozen in all steps so far, requires grad now, has a gradient, and is in no optimizer. And a slot
  that was frozen while its optimizer holds it, still has a gradient, and is still changed by the steps.

Why it matters
: `requires_grad` decides who gets a gradient; the optimizer's groups decide who is stepped. An optimizer that was
  built from what was trainable at the time never learns of what is thawed later; one that holds what is frozen later
  moves it on for as long as it has a gradient, if only by momentum and weight decay.

Example
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
model[0].requires_grad_(False)
optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)


def step(number):
    if number == 3:
        model[0].requires_grad_(True)
    model.zero_grad()
    model(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()
```

Instead
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
model[0].requires_grad_(False)
optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)


def step(number):
    if number == 3:
        model[0].requires_grad_(True)
        optimizer.add_param_group({"params": model[0].parameters()})
    model.zero_grad()
    model(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()
```

When it is wrong to follow it
: Where an optimizer that is not watched steps what was thawed: hand it to `watch`, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.loop.seen import Step
from paramscope.rules.rule import Problem, Rule

RULE = Rule("PS725", "froze-or-thawed-unheard", Severity.WARNING, needs="loop")


def check(step: Step) -> Iterator[Problem]:
    """Slots that the optimizer goes on with, or never took up."""
    for path in step.thawed:
        yield Problem(
            (path,),
            f"At {step.words}, " + "{0} {0|requires grad and has a gradient|require grad and have gradients}, and "
            "{0|was|were} frozen since the watch began; no optimizer that is watched holds {0|it|them}.",
            "Hand {0} to optimizer.add_param_group when you unfreeze {0|it|them}. Or build the optimizer from all "
            "parameters: it passes over those without a gradient.",
            blame=None,
            alike=("thawed", step.words),
        )
    for path in step.moved_frozen:
        yield Problem(
            (path,),
            f"At {step.words}, the optimizer changed " + "{0}, though {0|it is|they are} frozen: {0|it still has a "
            "gradient|they still have gradients}.",
            "Clear the gradients of what you freeze: optimizer.zero_grad(set_to_none=True).",
            blame=None,
            alike=("froze", step.words),
        )
