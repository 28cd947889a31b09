"""A buffer is a Parameter, or requires grad.

What it finds
: A registered buffer that is an `nn.Parameter` or a leaf that requires grad.

Why it matters
: It is saved, and the backward pass gives it gradients, but it is never in `parameters()`: no optimizer built from
  them steps it.

Example
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("gain", torch.ones(4, requires_grad=True))

model = Net()
```

Instead
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(4))

model = Net()
```

When it is wrong to follow it
: Hardly ever: buffers are for what is not learned, and a tensor that does not require grad makes that clear. A view
  taken under `no_grad` of something that has gradients is not reported, since no backward reaches it.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.text import name as printable

RULE = Rule("PS112", "buffer-requires-grad", Severity.ERROR)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Buffers that look like parameters."""
    for kind in facts.slot_kinds:
        if kind.role != "buffer" or not kind.is_registered or kind.spec is None:
            continue
        if not kind.is_parameter and not (kind.requires_grad and kind.is_leaf):
            continue
        for position in kind.slots:
            if _is_parameter_elsewhere(facts, position):
                continue
            # A view taken under no_grad says that it requires grad, and no backward reaches it.
            if facts.snapshot.slot_columns.tensors[position] in facts.cut_views:
                continue
            path = facts.slots.path_at(position)
            name = printable(kind.name)
            if kind.requires_grad:
                message = (
                    "{0} {0|is a buffer that requires grad: it is|are buffers that require grad: they are} "
                    "given gradients, "
                    "but {0|it is|they are} never in parameters(), so no optimizer built from them steps {0|it|them}."
                )
                instead = (
                    f"If it is learned: self.{name} = nn.Parameter(…); if not: "
                    f'self.register_buffer("{name}", tensor.detach()).'
                )
            else:
                message = (
                    "{0} {0|is a Parameter that is registered as a buffer|are Parameters, registered as buffers}: "
                    "parameters() does not know {0|it|them}, so nothing that freezes, unfreezes or optimizes "
                    "parameters reaches {0|it|them}."
                )
                instead = (
                    f"Register it as what it is: self.{name} = nn.Parameter(…, requires_grad=False), or "
                    f'self.register_buffer("{name}", tensor).'
                )
            yield Problem((path,), message, instead, cause="learned")


def _is_parameter_elsewhere(facts: Facts, position: int) -> bool:
    """Whether the same tensor is registered as a parameter as well: then that is how it is trained."""
    tensor = facts.snapshot.slot_columns.tensors[position]
    return any(
        (slot := facts.slots.at(other)).role == "parameter" and slot.registered
        for other in facts.slots_of_tensor[tensor]
    )
