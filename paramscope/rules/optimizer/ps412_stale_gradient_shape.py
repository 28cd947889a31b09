"""A gradient does not have the shape of its parameter.

What it finds
: A parameter whose `.grad` has a different shape, because its `.data` was resized afterwards.

Why it matters
: The next backward adds a gradient of the new shape to one of the old, or a step uses the old one: both raise, or
  broadcast to something nobody intended.

Example
```python
import torch
from torch import nn

model = nn.Embedding(10, 4)
model(torch.tensor([1])).sum().backward()
model.weight.data = torch.zeros(12, 4)
```

Instead
```python
import torch
from torch import nn

model = nn.Embedding(10, 4)
model(torch.tensor([1])).sum().backward()
model.zero_grad()
model.weight.data = torch.zeros(12, 4)
```

When it is wrong to follow it
: Hardly ever. The flat parameters of FSDP, which change size as they come and go, are not reported.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import text
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS412", "stale-gradient-shape", Severity.ERROR)

_FSDP = "torch.distributed.fsdp."


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """What capture marked."""
    for oddity in facts.oddities("gradient-shape"):
        slot = facts.slots[oddity.path]
        is_sharded = (slot.type or "").startswith(_FSDP) or facts.is_recomputed(oddity.path)
        if not slot.is_parameter or is_sharded or not isinstance(oddity.value, tuple):
            continue
        yield Problem(
            (oddity.path,),
            f"{{0}} {{0|is|are}} {text.shape(slot.shape)}, but {{0|its|their}} gradient is "
            f"{text.shape(oddity.value)}: the next backward or step fails.",
            "Set {0}.grad = None wherever its .data is given another shape.",
            blame=None,
        )
