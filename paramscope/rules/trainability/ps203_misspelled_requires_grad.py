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
from paramscope.snapshot import Mark

RULE = Rule("PS203", "misspelled-requires-grad", Severity.ERROR)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Odd attributes of Parameters and modules."""
    for mark in facts.marks("odd-attribute"):
        if mark.path not in facts.slots:
            yield _on_module(mark)
        elif facts.slots[mark.path].is_parameter:
            yield _on_parameter(mark)


def _on_parameter(mark: Mark) -> Problem:
    flag = _flag(mark)
    if mark.name == "requires_grad_":
        message, instead = _OVERWRITTEN, f"Call .requires_grad_({flag}) on {{0}}."
    else:
        message = f"{mark.name!r} was assigned on {{0}}: PyTorch never reads it, and requires_grad stays as it was."
        instead = f"Write .requires_grad = {flag} for {{0}}."
    return Problem((mark.path,), message, instead, blame=_line(mark), alike=("parameter", mark.name))


def _on_module(mark: Mark) -> Problem:
    message = _OVERWRITTEN
    if mark.name != "requires_grad_":
        message = (
            f"{mark.name!r} was assigned on {{0}}: PyTorch ignores it on a module, and the module's parameters stay "
            "as they were."
        )
    instead = f"Call .requires_grad_({_flag(mark)}) on {{0}}."
    return Problem((mark.path,), message, instead, blame=_line(mark), alike=("module", mark.name))


_OVERWRITTEN = "requires_grad_ of {0} was assigned instead of called: that freezes nothing, and the method is gone."


def _line(mark: Mark) -> Blame:
    return Blame.attribute(mark.path, mark.name)


def _flag(mark: Mark) -> bool:
    """What it was meant to be."""
    return mark.value is True
