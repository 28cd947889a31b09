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

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal, on_ranks
from paramscope.rules.ranks._differing import differences
from paramscope.rules.rule import Problem, Rule

RULE = Rule("PS804", "ddp-hooks-lost", Severity.ERROR, needs="ranks")

_HELP = (
    "Freeze, unfreeze, move and replace parameters before the model is wrapped, or wrap it anew: "
    "model = DistributedDataParallel(model.module)."
)


def check(facts: Facts) -> Iterator[Problem]:
    """Yields each slot whose gradient no reducer hears of, with its ranks where others do hear of it."""
    apart = {each.path: each for each in differences(facts, "unheard")}
    for path, difference in apart.items():
        for spans, wrapper in difference.said:
            if wrapper:
                yield _problem(on_ranks(spans, path), wrapper)
    for each in facts.oddities("unheard"):
        if each.path not in apart:
            yield _problem((each.path,), each.name or "the model")


def _problem(paths: tuple[str, ...], wrapper: str) -> Problem:
    message = (
        f"{{0}} {{0|is|are}} trainable, but DistributedDataParallel ({literal(wrapper)}) has no hook on "
        "{0|its gradient|their gradients}, which {0|is|are} not averaged over the ranks."
    )
    return Problem(paths, message, _HELP, blame=None, alike=wrapper)
