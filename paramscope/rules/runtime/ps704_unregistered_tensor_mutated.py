"""The run changed a plain tensor attribute in place.

What it finds
: An attribute of a registered module that is a tensor, neither Parameter nor buffer, and whose elements the run
  changed. **Info** where it lies in a container or an object, or where forward, or a property, makes it: a cache.
  Not what a module saves or moves itself, what shares memory with something registered, or what forward writes anew
  before it reads it.

Why it matters
: It is state that the model computes with, and that `state_dict()` does not contain and `.to()` does not move: a
  model that is loaded goes on from other numbers.

Example
```python
import torch
from torch import nn


class Centered(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 1)
        self.steps = torch.zeros(1)

    def forward(self, x):
        self.steps += 1
        return self.fc(x) / self.steps


model, inputs = Centered(), torch.ones(3, 4)
```

Instead
```python
import torch
from torch import nn


class Centered(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 1)
        self.register_buffer("steps", torch.zeros(1))

    def forward(self, x):
        self.steps += 1
        return self.fc(x) / self.steps


model, inputs = Centered(), torch.ones(3, 4)
```

When it is wrong to follow it
: Where it is scratch memory whose content means nothing from one call to the next: register it with
  `persistent=False`, so that it moves, or declare it. Where PS104 warns of the same attribute, this rule does not
  speak.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.registration._assigned import assigned, is_managed, reads
from paramscope.rules.registration._steps import held_attributes, to_blame
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule(
    "PS704",
    "unregistered-tensor-mutated",
    Severity.WARNING,
    needs="backward",
    yields_to=("PS103", "PS104", "PS107", "PS108", "PS109"),
    yields_from=Severity.WARNING,
)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Attributes whose tensors changed."""
    for kind, slot, held in held_attributes(facts, lambda kind: kind.owner.is_registered and not kind.is_parameter):
        if not slot.changed_by or slot.path in facts.aliases or facts.is_recomputed(slot.path):
            continue
        if slot.module in facts.quantized_modules or is_managed(facts, slot):
            continue
        severity = Severity.INFO
        if held.kind == "attribute":
            found = assigned(facts, slot)
            if reads(facts, slot).is_renewed or found.is_of_torch:
                continue
            if "construction" in found.stages and not found.is_of_property:
                severity = Severity.WARNING
        yield Problem(
            (slot.path,),
            "{0} {0|is a plain tensor that|are plain tensors that} the run changed in place: state_dict() does not "
            "contain that state, and .to() does not move it.",
            f'Register it: self.register_buffer("{held.name}", …).'
            if held.kind == "attribute"
            else 'Register each tensor that is state: self.register_buffer("name", …).',
            severity,
            to_blame(slot.path),
            None if held.kind == "attribute" else (kind.owner.type, held.attribute),
            cause="plain",
        )
