"""A plain tensor is an attribute of a module.

What it finds
: A tensor that was assigned as it is, and is neither registered nor a view of anything that is.

Why it matters
: `.to()` and `.cuda()` leave it where it is, so the forward meets two devices; `state_dict()` does not hold it, so it
  is lost when the model is saved; and it is never trained.

Example
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.mask = torch.ones(4, 4).tril()

model = Net()
```

Instead
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.ones(4, 4).tril(), persistent=False)

model = Net()
```

When it is wrong to follow it
: A constant of one element, what lies in a container, what only the forward assigns (a cached state), what the class
  moves wherever it reads it or reads in `__init__` alone, and modules that move or save their tensors themselves: all
  these are information only.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.registration._assigned import assigned, is_moved_when_read, is_read_at_construction_alone
from paramscope.rules.registration._steps import Held, slot_held_by, to_blame
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import SlotRecord

RULE = Rule("PS104", "plain-tensor-attribute", Severity.WARNING, yields_to=("PS103", "PS107", "PS108", "PS109"))


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Attributes that are tensors and learn nothing."""
    for kind in facts.slot_kinds:
        # What has a graph is another rule's, and what requires grad or is a Parameter in a container, too.
        if kind.role != "attribute" or kind.spec is None or kind.spec.dtype is None or not kind.is_leaf:
            continue
        if kind.requires_grad:
            continue
        for position in kind.slots:
            slot = facts.slots.at(position)
            held = slot_held_by(facts, slot)
            if held is None or (kind.is_parameter and held.kind != "attribute"):
                continue
            if facts.is_recomputed(held.path) or slot.path in facts.aliases:
                continue
            yield _problem(facts, kind, slot, held)


def _problem(facts: Facts, kind: SlotKind, slot: SlotRecord, held: Held) -> Problem:
    reason = _why_harmless(facts, kind, slot, held)
    message = "{0} is a plain tensor: .to() leaves it behind, and state_dict() does not hold it."
    if reason:
        message = f"{{0}} is a plain tensor, {reason}: .to() does not move it, and state_dict() does not hold it."
    instead = f'Register it: self.register_buffer("{held.name}", …), with persistent=False if it need not be saved.'
    if held.kind != "attribute":
        instead = 'If it is meant to be moved or saved, register each tensor: self.register_buffer("name", …).'
    alike = None if held.kind == "attribute" else (facts.modules[held.owner].type, held.attribute)
    return Problem(
        (slot.path,), message, instead, Severity.INFO if reason else None, to_blame(slot.path), alike, "plain"
    )


def _why_harmless(facts: Facts, kind: SlotKind, slot: SlotRecord, held: Held) -> str:
    """Why it is information only; empty where it is not."""
    if slot.numel is not None and slot.numel <= 1:
        return "a constant of one element" if slot.numel else "without an element"
    if held.kind != "attribute":
        return "held in a container or an object"
    if slot.saved is None or slot.moved is None:
        return "of a module that moves or saves it itself"
    if not kind.owner.is_registered:
        return "of a module that is not registered"
    found = assigned(facts, slot)
    if found.is_only_forward:
        return "assigned in the forward alone"
    if found.is_of_torch:
        return "kept by torch itself"
    if not found.stages and facts.has_gradients:
        return "which may be a state that the forward keeps"
    if is_moved_when_read(facts, slot):
        return "moved where it is read"
    if is_read_at_construction_alone(facts, slot):
        return "read only as the module is built"
    return ""
