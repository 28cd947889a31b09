"""A plain tensor that requires grad is an attribute.

What it finds
: A leaf tensor with `requires_grad=True` that is an attribute of a module, or lies in one, and is neither a Parameter
  nor registered.

Why it matters
: It looks like a weight, and the backward pass gives it gradients. But `parameters()` does not contain it: no
  optimizer built from them steps it, `zero_grad()` never clears it, no checkpoint holds it, and `.to()` leaves it
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
: An input that is kept so that its gradient can be read later is not a weight: an attribute assigned only in the
  forward is information only. So is a Parameter that the class was given and stores behind `nn.Module`'s back on
  purpose, `self.__dict__["weight"] = weight`. A view taken under `no_grad` of something that has gradients also
  claims to require grad, but no backward reaches it; this rule leaves it alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.registration._assigned import assigned
from paramscope.rules.registration._steps import held_attributes, is_put_past_on_purpose
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS103", "unregistered-leaf-requires-grad", Severity.ERROR, yields_to=("PS107",))


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Attributes that get gradients."""
    for kind, slot, held in held_attributes(facts, lambda kind: kind.is_hidden and kind.requires_grad):
        # Of Parameters, only what the module holds directly: other rules tell of the rest.
        if (kind.is_parameter and held.kind != "attribute") or slot.tensor in facts.cut_views:
            continue
        message = (
            "backward() gives gradients to {0}, but parameters() contains only nn.Parameters: an "
            "optimizer built from them never steps {0|it, and it is|them, and they are} neither saved nor moved."
        )
        on_purpose = kind.is_parameter and is_put_past_on_purpose(facts, slot, held)
        if kind.is_parameter:
            message = (
                "nn.Module's own __setattr__ never saw {0}: parameters() does not contain what bypasses it, so "
                "an optimizer built from them never steps {0|it, and it is|them, and they are} neither saved "
                "nor moved."
            )
        if on_purpose:
            message = (
                "nn.Module's own __setattr__ never saw {0}, apparently on purpose, since "
                "{0|it is an argument|they are arguments}: parameters() does not contain {0|it|them}, so the "
                "other owner has to train, save and move {0|it|them}."
            )
        name = held.name
        instead = f"Make it a parameter: self.{name} = nn.Parameter(…)."
        if held.kind == "class":
            instead = f"Make it a parameter of the instance, in __init__: self.{name} = nn.Parameter(…)."
        elif held.kind in ("record", "object", "callable"):
            instead = f"Register it, self.name = nn.Parameter(…), and hand that on to what lies in self.{name}."
        elif held.kind != "attribute":
            kept = "an nn.ParameterDict" if held.is_dict else "an nn.ParameterList"
            instead = f"Make it an nn.Parameter, and let self.{name} be {kept}."
        is_harmless = on_purpose or (held.kind != "class" and assigned(facts, slot).is_only_forward)
        yield Problem((slot.path,), message, instead, Severity.INFO if is_harmless else None, cause="leaf")
