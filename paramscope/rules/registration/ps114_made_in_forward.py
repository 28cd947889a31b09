"""A Parameter or a layer is made in forward.

What it finds
: A class whose `forward`, or a method or property that it uses, assigns a Parameter, or a layer with parameters, to
  the module or to a slot of one of its layers, in each call or while there is none yet. It is found in the source,
  before any call; what is created only once is no longer reported when it exists. Lazy layers, frozen Parameters,
  what is registered already (`self.a = self.b`) and classes of installed packages are left alone.

Why it matters
: An optimizer is built from the parameters that exist at the time. What forward creates later is in none of its
  groups: it gets gradients that no step uses. What forward creates in every call discards what was trained, while the
  optimizer keeps stepping the old one. And a fresh model lacks keys that a checkpoint saved after a call contains.

Example
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = None

    def forward(self, x):
        if self.head is None:
            self.head = nn.Linear(x.size(-1), 2)
        return self.head(x)

model = Net()
```

Instead
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.head = nn.Linear(size, 2)

    def forward(self, x):
        return self.head(x)

model = Net(4)
```

When it is wrong to follow it
: Where the model is always run once, on a batch, before the optimizer is built and before a checkpoint is loaded. A
  Lazy layer (`nn.LazyLinear(2)`) does the same, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal
from paramscope.rules.registration._made import Made, made_in_forward
from paramscope.rules.rule import Blame, Problem, Rule, Undecided

RULE = Rule("PS114", "made-in-forward", Severity.WARNING)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """What the forward of the user's own classes makes."""
    for found in made_in_forward(facts):
        is_there = _is_there(facts, found.path)
        if found.made.when == "always" or not is_there:
            yield _problem(found, is_there=found.path in facts.slots or found.path in facts.modules)


def _is_there(facts: Facts, path: str) -> bool:
    slot = facts.slots.get(path)
    return path in facts.modules if slot is None else slot.status != "empty"


_ANEW = (
    "anew in each call: the previous one is discarded with all that it had learned, while an optimizer keeps "
    "stepping it."
)
_LATE = (
    "where there is none yet: an optimizer that was built before the first call does not hold it and never steps it, "
    "and a checkpoint that was saved after it does not fit a fresh model."
)
_ONCE = "Make it once, in __init__, and compute what is derived from it in forward, under another name"
_INSTEAD = {
    ("always", "Parameter"): _ONCE + "; to change its values, write into it: {name}.copy_(…) under torch.no_grad().",
    ("always", "layer"): "Make it once, in __init__.",
    ("absent", "Parameter"): "Make it in __init__: {name} = nn.Parameter(…).",
    (
        "absent",
        "layer",
    ): "Build it in __init__, or as a Lazy layer, such as nn.LazyLinear, and run the model once before "
    "the optimizer is built.",
}


def _problem(found: Made, *, is_there: bool) -> Problem:
    made = found.made
    name = literal("self." + ".".join(made.steps))
    how = _ANEW if made.when == "always" else _LATE
    message = f"The forward makes {name}, a {made.makes}, {how}"
    if is_there:
        message = f"{{0}} is a {made.makes} that the forward makes {how}"
    instead = _INSTEAD[made.when, made.makes].format(name=name)
    path = found.path if is_there else found.owner
    return Problem((path,), message, instead, blame=Blame.line(made.assignment))
