"""A trainable parameter is float16.

What it finds
: Registered float16 parameters that require grad.

Why it matters
: `torch.amp.GradScaler` refuses to unscale their gradients ("Attempting to unscale FP16 gradients"), and without it
  small gradients underflow.

Example
```python
import torch
from torch import nn

model = nn.Linear(2, 2, dtype=torch.float16)
```

Instead
```python
import torch
from torch import nn

model = nn.Linear(2, 2)  # and torch.autocast("cuda", dtype=torch.float16) around the forward
```

When it is wrong to follow it
: Where nobody trains it, or an optimizer keeps float32 master copies: information only.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS207", "trainable-half-precision", Severity.INFO)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Trainable slots of float16, all of them as one."""
    slots = sorted(
        slot
        for kind in facts.slot_kinds
        if kind.is_trainable and kind.spec is not None and kind.spec.dtype == "float16"
        for slot in kind.slots
    )
    if slots:
        names = "{0}" if len(slots) == 1 else f"{{0}} and {len(slots) - 1:,} more"
        yield Problem(
            tuple(facts.paths(slots)),
            f"GradScaler refuses to unscale the gradients of trainable float16 parameters, here of {names}; without "
            "a scaler small gradients vanish.",
            "Keep what is trained in float32 and run the forward under torch.autocast, or use bfloat16.",
            blame=None,
        )
