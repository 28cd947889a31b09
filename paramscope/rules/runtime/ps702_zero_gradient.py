"""Every element of a parameter's gradient is zero.

What it finds
: Trainable parameters that backward reached and whose gradient is zero in every element. Not a low-rank adapter's
  `lora_A` while its `lora_B` gets a gradient: at the start `lora_B` is zero, and so is the gradient of `lora_A`.

Why it matters
: No step changes them, but for weight decay. The usual causes: units that are dead for all of these inputs (ReLU),
  a factor or a mask of zeros, a clamp, a saturated function, a weight behind them that is all zeros.

Example
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(4, 4), nn.Linear(4, 1)
        nn.init.constant_(self.up.bias, -100.0)

    def forward(self, x):
        return self.down(self.up(x).relu()).square().mean()


model, inputs = Net(), torch.ones(3, 4)
```

Instead
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(4, 4), nn.Linear(4, 1)
        nn.init.constant_(self.up.bias, -100.0)

    def forward(self, x):
        return self.down(nn.functional.leaky_relu(self.up(x))).square().mean()


model, inputs = Net(), torch.ones(3, 4)
```

When it is wrong to follow it
: Where something behind it starts as zeros on purpose, as an output projection, a gate or a control branch may:
  after the first step a gradient arrives. Information only. Where the loss is the sum that paramscope made of an
  output, the rule is skipped: the sum of what is normalised is constant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.runtime._regions import is_loss_made, reach

RULE = Rule("PS702", "zero-gradient", Severity.INFO, needs="backward")

_LORA = re.compile(r"(?:^|\.)lora_")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Trainable tensors whose gradient is there, and zero."""
    run, reached = facts.snapshot.run, reach(facts).reached
    zero = [each for each in reached if each.run.grad == "zero"]
    if zero and run is not None and is_loss_made(facts):
        yield Undecided(f"gradients are zero of {run.loss}, which need not be those of a loss: hand that over")
        return
    others = [facts.slots.path_at(each.slot) for each in reached if each.run.grad == "finite"]
    adapting = {path[: match.start()] for path in others if (match := _LORA.search(path))}
    for each in zero:
        path = facts.slots.path_at(each.slot)
        match = _LORA.search(path)
        if match is None or path[: match.start()] not in adapting:
            yield Problem(
                (path, *facts.paths(each.further)),
                "Every element of the gradient of {0} is zero, with these inputs.",
                "See what becomes of the output: dead units, a mask or a factor of zeros, a clamp, or a weight "
                "behind it that is still all zeros.",
                blame=None,
                alike="zero",
            )
