"""A plain tensor is an attribute of a module.

What it finds
: A tensor that was assigned directly, and is neither registered nor a view of anything that is.

Why it matters
: `.to()` and `.cuda()` leave it where it is, so the forward meets two devices; `state_dict()` does not contain it, so
  it is lost when the model is saved; and it is never trained.

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
: These are information only: a constant of one element; a tensor in a container; one that only the forward assigns,
  or a method that a forward in the model calls (but not what a `fit` or an `update` keeps for later); one that is
  moved wherever it is read (by `.to(x)` or `.type_as(x)`, by a function or method that moves its argument, through
  what is computed from it, or by the first statement of the forward or of the forward above it); one that only Python
  reads (as a truth value, a number, a list index, or by iteration); one from which a Python integer picks single
  elements, which works on every device; one that only `__init__` reads; a placeholder for an absent Parameter, which
  the code checks for `requires_grad` before reading it; one that a library keeps and nobody reads; the initial state
  of a recurrent layer; and the tensors of modules that move or save their tensors themselves, or that lie in one that
  does. What a quantized layer that saves itself keeps beside its weight is left alone.
: A floating-point table that is moved to the input's device but not cast to its dtype stays a warning, unless the
  code casts the input to a dtype of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.registration._assigned import (
    assigned,
    is_managed,
    is_moved_from_above,
    is_read_at_construction_alone,
    is_unread,
    reads,
)
from paramscope.rules.registration._steps import Held, held_attributes, to_blame
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import SlotRecord

RULE = Rule("PS104", "plain-tensor-attribute", Severity.WARNING, yields_to=("PS103", "PS107", "PS108", "PS109"))


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Attributes that are tensors and learn nothing."""
    # What has a graph is another rule's, and what requires grad or is a Parameter in a container, too.
    for kind, slot, held in held_attributes(facts, lambda kind: kind.is_leaf and not kind.requires_grad):
        if slot.dtype is None or slot.path in facts.aliases or (kind.is_parameter and held.kind != "attribute"):
            continue
        # The scales of a quantized weight, which such a layer saves itself, under names of its own.
        if slot.saved is None and slot.module in facts.quantized_modules:
            continue
        yield _problem(facts, kind, slot, held)


_PLAIN = "{0} {0|is a plain tensor|are plain tensors}"
_PLACED = (
    "{0} {0|is a plain tensor that is|are plain tensors that are} moved to the device where {0|it is|they are} "
    "read, but not cast to the dtype: after .half() or .to(torch.bfloat16) {0|it still has|they still have} the old "
    "one, and state_dict() does not contain {0|it|them}."
)
_FLOATING = ("float", "bfloat")


def _problem(facts: Facts, kind: SlotKind, slot: SlotRecord, held: Held) -> Problem:
    reason = _why_harmless(facts, kind, slot, held)
    message = f"{_PLAIN}: .to() leaves {{0|it|them}} behind, and state_dict() does not contain {{0|it|them}}."
    if reason:
        message = (
            f"{_PLAIN}, {reason}: .to() does not move {{0|it|them}}, and state_dict() does not contain {{0|it|them}}."
        )
    elif held.kind == "attribute" and reads(facts, slot).reading == "placed":
        message = _PLACED
    instead = f'Register it: self.register_buffer("{held.name}", …), with persistent=False if it need not be saved.'
    if held.kind != "attribute":
        instead = (
            'If {0|it is|they are} meant to be moved or saved, register each tensor: self.register_buffer("name", …).'
        )
    alike = None if held.kind == "attribute" else (facts.modules[held.owner].type, held.attribute)
    return Problem(
        (slot.path,), message, instead, Severity.INFO if reason else None, to_blame(slot.path), alike, cause="plain"
    )


def _why_harmless(facts: Facts, kind: SlotKind, slot: SlotRecord, held: Held) -> str:
    """Why it is information only; empty where it is not."""
    if slot.numel is not None and slot.numel <= 1:
        return "{0|a constant|constants} of one element" if slot.numel else "without an element"
    if held.kind != "attribute":
        return "held in a container or an object"
    if is_managed(facts, slot):
        return "of a module that moves or saves it itself"
    if not kind.owner.is_registered:
        return "of a module that is not registered"
    found = assigned(facts, slot)
    if found.is_only_forward or found.is_of_property:
        return "assigned only in the forward"
    if found.is_of_torch:
        return "kept by torch itself"
    if not found.stages and facts.has_gradients:
        return "which may be a state that the forward keeps"
    return _how_read(facts, slot)


def _how_read(facts: Facts, slot: SlotRecord) -> str:
    """How its module reads it, if that is so that it does no harm."""
    use = reads(facts, slot)
    if use.reading == "moved" or (use.reading == "placed" and not _is_floating(slot)):
        return "moved where {0|it is|they are} read"
    if use.reading == "host":
        return "read one number at a time" if use.is_by_number else "read only by Python"
    if use.is_stand_in:
        return "a placeholder for an absent Parameter"
    if use.is_recurrent:
        return "the initial state of a recurrent layer"
    if use.is_renewed:
        return "recomputed by each forward"
    if is_moved_from_above(facts, slot):
        return "moved by the module above"
    if is_read_at_construction_alone(facts, slot):
        return "read only as the module is built"
    if use.reading == "unread" and is_unread(facts, slot):
        return "of a library whose code never reads {0|it|them}"
    return ""


def _is_floating(slot: SlotRecord) -> bool:
    """Whether `.half()` would change its dtype."""
    return slot.dtype is not None and slot.dtype.startswith(_FLOATING)
