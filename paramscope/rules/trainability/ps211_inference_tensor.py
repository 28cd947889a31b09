"""A parameter or a buffer was made under `inference_mode`.

What it finds
: Registered tensors that `torch.inference_mode()` marked as such.

Why it matters
: Autograd refuses them: "Inference tensors cannot be saved for backward", at the first training step.

Example
```python
import torch
from torch import nn

with torch.inference_mode():
    model = nn.Linear(2, 2)
```

Instead
```python
import torch
from torch import nn

model = nn.Linear(2, 2)
with torch.inference_mode():
    model(torch.zeros(1, 2))
```

When it is wrong to follow it
: For a model that is never trained. Build it outside of `inference_mode` all the same: someone may fine-tune it.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS211", "inference-tensor", Severity.ERROR)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Tensors that capture marked."""
    for oddity in facts.oddities("inference"):
        slot = facts.slots[oddity.path]
        if slot.registered and slot.role != "attribute":
            yield Problem(
                (oddity.path,),
                "{0} {0|was|were} made under torch.inference_mode(): training {0|it|them}, or anything that "
                "{0|it takes|they take} part in, raises.",
                "Build the model outside of inference_mode, or clone what came from there: tensor.clone().",
            )
