"""No registered parameter requires grad.

What it finds
: A model with parameters, none of which is trainable.

Why it matters
: Nothing is learned, and `loss.backward()` raises: "element 0 of tensors does not require grad". With an optimizer it
  is an error, since one was meant to train.

Example
```python
from torch import nn

model = nn.Linear(2, 2)
model.requires_grad_(False)
```

Instead
```python
from torch import nn

model = nn.Linear(2, 2)
```

When it is wrong to follow it
: A model for inference alone: without an optimizer it is information only.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS201", "nothing-trainable", Severity.INFO)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Whether there are parameters, and none of them trains."""
    frozen = [kind for kind in facts.slot_kinds if kind.is_frozen]
    if not frozen or facts.is_training_something:
        return
    count = sum(len(kind.slots) for kind in frozen)
    yield Problem(
        (facts.snapshot.roots[0],),
        f"None of the {count:,} parameters of {{0}} requires grad: nothing is learned, and loss.backward() raises.",
        "Thaw what is to be trained: model.head.requires_grad_(True).",
        Severity.ERROR if facts.has_optimizer else None,
        blame=None,
    )
