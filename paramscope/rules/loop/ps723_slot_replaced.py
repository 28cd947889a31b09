"""The model has another tensor now than the one that its optimizer holds.

What it finds
: A slot whose tensor an optimizer stepped, and which holds another trainable tensor now, that no optimizer has, while
  the optimizer goes on with the old one, which the model no longer holds anywhere. And slots of a watched
  DistributedDataParallel whose tensors were replaced or moved after it was built.

Why it matters
: The optimizer holds tensors, not names. `model.head = nn.Linear(…)`, `load_state_dict(…, assign=True)` and some
  `.to(…)` put new ones in their place: these get gradients and are never stepped, and the old ones are stepped and
  never read.

Example
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def step(number):
    if number == 3:
        model[2] = nn.Linear(8, 1)
    optimizer.zero_grad()
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
    if number == 3:
        model[2].reset_parameters()
    optimizer.zero_grad()
    model(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()
```

When it is wrong to follow it
: Where an optimizer that is not watched steps the new tensors: hand it to `watch`, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.loop.seen import Step
from paramscope.rules.rule import Problem, Rule

RULE = Rule("PS723", "slot-replaced", Severity.ERROR, needs="loop")


def check(step: Step) -> Iterator[Problem]:
    """Slots whose tensor is no longer the optimizer's."""
    for path in step.replaced:
        yield Problem(
            (path,),
            f"Since {step.words}, " + "{0} {0|is another tensor than the one|are other tensors than those} that the "
            "optimizer holds: {0|it is|they are} trainable, and no watched optimizer steps {0|it|them}.",
            "Replace modules, and load with assign=True, before the optimizer is built. Or build it anew; or hand "
            "{0} to optimizer.add_param_group.",
            blame=None,
            alike=step.words,
        )
    for path in step.unreduced:
        yield Problem(
            (path,),
            f"Since {step.words}, DistributedDataParallel no longer hears of "
            "the {0|gradient|gradients} of {0}, whose {0|tensor was|tensors were} replaced or moved after it was "
            "built: each rank goes its own way.",
            "Move, cast and replace before DistributedDataParallel(model) is built, or build it anew.",
            blame=None,
            alike=("reducer", step.words),
        )
