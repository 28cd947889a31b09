"""DistributedDataParallel no longer hears of the gradients of its parameters.

What it finds
: Trainable parameters below DistributedDataParallel to whose gradients none of its hooks is attached: they were
  frozen when the model was wrapped, or were put there since, or lost the node that adds to their gradient, as all do
  that are moved to another kind of device and back (pytorch #104336).

Why it matters
: Their gradients stay those of one rank, without an error or a warning. From the first step on, the replicas are
  different models.

Example
```python
from torch import nn
from torch.nn.parallel import DistributedDataParallel

model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2))
model[0].requires_grad_(False)
model = DistributedDataParallel(model)
model.module[0].requires_grad_(True)  # after the first epoch
```

Instead
```python
from torch import nn
from torch.nn.parallel import DistributedDataParallel

model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2))
model[0].requires_grad_(False)
model = DistributedDataParallel(model)
model.module[0].requires_grad_(True)
model = DistributedDataParallel(model.module)  # anew: it hooks what is trainable now
```

When it is wrong to follow it
: Where you average these gradients yourself.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import text
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule

RULE = Rule("PS804", "ddp-hooks-lost", Severity.ERROR, needs="ranks")

_HELP = (
    "Freeze, unfreeze, move and replace parameters before the model is wrapped, or wrap it anew: "
    "model = DistributedDataParallel(model.module)."
)


def check(facts: Facts) -> Iterator[Problem]:
    """Yields each slot whose gradient no reducer hears of."""
    for each in facts.oddities("unheard"):
        wrapper = text.name(str(each.name)) or "the model"
        message = (
            f"{{0}} {{0|is|are}} trainable, but DistributedDataParallel ({wrapper}) has no hook on "
            "{0|its gradient|their gradients}, which {0|is|are} not averaged over the ranks."
        )
        yield Problem((each.path,), message, _HELP, blame=None, alike=each.name)
