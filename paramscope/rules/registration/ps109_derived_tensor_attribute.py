"""An attribute was computed from parameters once, and keeps that value.

What it finds
: A non-leaf tensor, one with a graph behind it, that is an attribute, was assigned while the module was built or
  outside of its forward, and is not a view of registered memory. A warning, where the forward computes it from its
  own previous value: the graph grows from call to call, and the second backward raises.

Why it matters
: It is a stale value, not a weight. `nn.Parameter(x).to(device)` returns a copy that is not a Parameter, so nothing
  is registered; `self.scaled = self.weight * 2` never follows the weight. No optimizer step changes it, no checkpoint
  holds it, and a second backward through its graph fails.

Example
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4)).to(torch.float64)

model = Net()
```

Instead
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, dtype=torch.float64))

model = Net()
```

When it is wrong to follow it
: What a method keeps (a state, a loss, noise, activations) naturally has a graph: that is information only. Which
  method assigns it is looked up in the module's own class and in functions that its methods pass the module to; where
  these assign only what has no graph (zeros, None), in the modules above it. A tensor that starts without a graph and
  is filled from elsewhere is information as well, and so is a state computed from its previous value where another
  method detaches it (`self.state = None`, `self.state.detach()`), and what lies in an object of your own, which may
  be filled at any time. What a torch distribution computed when `__init__` built it is not.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal
from paramscope.rules.registration._assigned import assigned, reads, target
from paramscope.rules.registration._steps import Held, held_attributes
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import SlotRecord

RULE = Rule("PS109", "derived-tensor-attribute", Severity.ERROR, yields_to=("PS107",))

_KEPT = (
    "{0|is|are} kept with the graph that computed {0|it|them}: all that graph's memory stays alive, and "
    "{0|it is neither saved nor moved|they are neither saved nor moved}."
)
_CARRIED = (
    "{0|is|are} computed in forward from {0|its|their} own previous value, graph included: the graph grows from "
    "call to call, and the second backward() through it raises."
)
_STALE = (
    "{0|was|were} computed from other tensors once and {0|is not a leaf|are not leaves}: no optimizer updates "
    "{0|it|them}, {0|it does|they do} not follow what {0|it was|they were} computed from, "
    "{0|it is neither saved nor moved|they are neither saved nor moved}, and copy.deepcopy of the model raises."
)

_LAZY = ("->_cached_x_y[0]", "->_cached_x_y[1]")
"""What a transform of torch's keeps of its last use."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Attributes that are no leaves."""
    for _, slot, held in held_attributes(facts, lambda kind: not kind.is_leaf):
        if not facts.is_over_registered_memory(slot):
            yield _problem(facts, slot, held)


def _problem(facts: Facts, slot: SlotRecord, held: Held) -> Problem:
    place = _place(facts, slot, held)
    cut = f"Cut {_THEM} off from the graph if only the value matters: {place} ….detach()."
    if _is_carried(facts, slot, held):
        before = f"Cut the past off before the new value is computed: {place} ….detach()."
        return Problem((slot.path,), f"{{0}} {_CARRIED}", before, Severity.WARNING, cause="derived")
    severity = _severity(facts, slot, held)
    if severity is Severity.INFO:
        return Problem((slot.path,), f"{{0}} {_KEPT}", cut, severity, cause="derived")
    learned = f"If {{0|it is|they are}} to be learned, make the Parameter last: {place} nn.Parameter(tensor.to(…))."
    if held.kind != "attribute":
        learned = "If {0|it is|they are} to be learned, keep Parameters: nn.ParameterList, or nn.ParameterDict."
    follow = " If {0|it is to follow its|they are to follow their} parameters, compute {0|it|them} in forward."
    return Problem((slot.path,), f"{{0}} {_STALE}", learned + follow, severity, cause="derived")


_THEM = "{0|it|them}"


def _place(facts: Facts, slot: SlotRecord, held: Held) -> str:
    """What stands before the value where an attribute is assigned; words, where that is no assignment to it."""
    written = target(facts, slot, "derived") if held.kind == "attribute" else None
    return f"{literal(written)} =" if written else "where it is put there, write"


def _is_carried(facts: Facts, slot: SlotRecord, held: Held) -> bool:
    """Whether each forward goes on from what the one before left, through its graph."""
    return held.kind in ("attribute", "container", "record", "object") and reads(facts, slot).is_carried


def _severity(facts: Facts, slot: SlotRecord, held: Held) -> Severity:
    """An error for what is built once; information for what is kept from a call, as far as can be told."""
    # An object may be filled long after it was made; one of torch's own, a distribution, computes as it is built.
    is_filled_later = not held.is_built_in or held.steps.endswith(_LAZY)
    if held.kind in ("record", "object", "callable") and is_filled_later:
        return Severity.INFO
    if slot.saved is None or slot.moved is None:
        return Severity.INFO
    found = assigned(facts, slot)
    if not found.stages:
        if held.kind == "container":
            return Severity.INFO
        return Severity.WARNING if facts.has_gradients else Severity.ERROR
    is_built = found.is_built_with_graph and not (found.stages & {"forward"})
    return Severity.ERROR if is_built and not found.is_of_torch and not found.is_of_property else Severity.INFO
