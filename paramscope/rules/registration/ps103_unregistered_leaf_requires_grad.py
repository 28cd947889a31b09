"""A plain tensor that requires grad is an attribute.

What it finds
: A leaf tensor with `requires_grad=True` that is an attribute of a module, or lies in one, and is neither a Parameter
  nor registered.

Why it matters
: It looks like a weight, and the backward pass gives it gradients. But `parameters()` does not know it: no optimizer
  that is built from them steps it, `zero_grad()` never clears it, no checkpoint holds it, and `.to()` leaves it
  behind.

Example
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = torch.ones(4, requires_grad=True)

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
: An input that is kept to ask for its gradient later is no weight: where the attribute is only ever assigned in the
  forward, this is information only.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.registration._assigned import assigned
from paramscope.rules.registration._steps import slot_held_by
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS103", "unregistered-leaf-requires-grad", Severity.ERROR, yields_to=("PS107",))


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Attributes that get gradients."""
    for kind in facts.slot_kinds:
        if kind.role != "attribute" or not kind.is_hidden or not kind.requires_grad:
            continue
        for position in kind.slots:
            slot = facts.slots.at(position)
            held = slot_held_by(facts, slot)
            # Of Parameters, only what the module holds directly: other rules tell of the rest.
            if held is None or (kind.is_parameter and held.kind != "attribute") or facts.is_recomputed(held.path):
                continue
            message = (
                "{0} requires grad and is no nn.Parameter: backward() gives it gradients, but parameters() does not "
                "know it, so an optimizer built from them never steps it, and it is neither saved nor moved."
            )
            if kind.is_parameter:
                message = (
                    "{0} is a Parameter that was put past nn.Module's own __setattr__: parameters() does not know "
                    "it, so an optimizer built from them never steps it, and it is neither saved nor moved."
                )
            name = held.name
            instead = f"Make it a parameter: self.{name} = nn.Parameter(…)."
            if held.kind == "class":
                instead = f"Make it a parameter of the instance, in __init__: self.{name} = nn.Parameter(…)."
            elif held.kind != "attribute":
                instead = f"Make it a parameter: self.{name} = nn.ParameterList(…), or nn.ParameterDict(…)."
            is_cached = held.kind != "class" and assigned(facts, slot).is_only_forward
            yield Problem((slot.path,), message, instead, Severity.INFO if is_cached else None, cause="leaf")
