"""A name that only looks like `requires_grad` was assigned.

What it finds
: A Parameter or a module with an attribute `require_grad`, `required_grad`, `requires_gradient`, `require_gradient`,
  `requiresgrad`, `requiers_grad` or `requires_grads`; a `requires_grad` that was assigned on a module; and a
  `requires_grad_` that was assigned instead of called. The line is that assignment, in a class or a function of the
  files that define the model's classes.

Why it matters
: Python accepts any name, and PyTorch reads none of these: what was meant to be frozen is trained.

Example
```python
from torch import nn

model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
for parameter in model[0].parameters():
    parameter.required_grad = False
```

Instead
```python
from torch import nn

model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
for parameter in model[0].parameters():
    parameter.requires_grad = False
```

When it is wrong to follow it
: A flag of your own, read by your own code, may have such a name. A module whose class defines or reads it is left
  alone, and so is one whose `__init__` keeps its argument of that name and reads it elsewhere. In all other cases
  give it another name, since every reader will take it for PyTorch's.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Blame, Problem, Rule, Undecided
from paramscope.snapshot import Oddity

RULE = Rule("PS203", "misspelled-requires-grad", Severity.ERROR)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Odd attributes of Parameters and modules."""
    for oddity in facts.oddities("odd-attribute"):
        is_slot = oddity.path in facts.slots
        if not is_slot or facts.slots[oddity.path].is_parameter:
            yield _problem(oddity, is_slot=is_slot)


def _problem(oddity: Oddity, *, is_slot: bool) -> Problem:
    meant = oddity.value is True
    message = f"{oddity.name!r} was assigned on {{0}}: PyTorch "
    instead = f"Call .requires_grad_({meant}) on {{0}}."
    if oddity.name == "requires_grad_":
        message = (
            "requires_grad_ of {0} was assigned instead of called: that freezes nothing, and the method is gone."
        )
    elif is_slot:
        message += "never reads it, and requires_grad stays as it was."
        instead = f"Write .requires_grad = {meant} for {{0}}."
    else:
        message += "ignores it on a module, and the module's parameters stay as they were."
    line = Blame.attribute(oddity.path, oddity.name)
    return Problem((oddity.path,), message, instead, blame=line, alike=(is_slot, oddity.name))
