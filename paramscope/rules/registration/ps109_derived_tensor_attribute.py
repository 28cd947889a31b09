"""An attribute was computed from parameters once, and keeps that value.

What it finds
: A tensor with a graph behind it (no leaf) that is an attribute, assigned as the module was built or outside its
  forward, and that views no registered memory.

Why it matters
: It is a value of long ago, not a weight. `nn.Parameter(x).to(device)` gives a copy that is no Parameter, so nothing
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
: What the forward keeps (a state, a loss, activations) has a graph by its nature: that is information only, and so is
  what lies in an object of your own, which may be filled at any time; not what a distribution of torch's computed as
  `__init__` built it.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.registration._assigned import assigned
from paramscope.rules.registration._steps import Held, slot_held_by
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import SlotRecord

RULE = Rule("PS109", "derived-tensor-attribute", Severity.ERROR, yields_to=("PS107",))

_KEPT = (
    "{0} is kept with the graph that computed it: all that graph's memory stays alive with it, and it is neither "
    "saved nor moved."
)
_STALE = (
    "{0} was computed from other tensors once and is no leaf: no optimizer updates it, it does not follow what it "
    "was computed from, and it is neither saved nor moved."
)

_LAZY = ("->_cached_x_y[0]", "->_cached_x_y[1]")
"""What a transform of torch's keeps of its last use."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Attributes that are no leaves."""
    for kind in facts.slot_kinds:
        if kind.role != "attribute" or kind.is_leaf or kind.spec is None:
            continue
        for position in kind.slots:
            slot = facts.slots.at(position)
            held = slot_held_by(facts, slot)
            if held is None or facts.is_recomputed(held.path) or facts.is_over_registered_memory(slot):
                continue
            is_kept = _is_kept(facts, slot, held)
            name = held.name
            yield Problem(
                (slot.path,),
                _KEPT if is_kept else _STALE,
                f"Cut it off from the graph if only its value matters: self.{name} = ….detach()."
                if is_kept
                else f"If it is to be learned, make the Parameter last: self.{name} = nn.Parameter(tensor.to(…)). If "
                "it is to follow its parameters, compute it in forward.",
                Severity.INFO if is_kept else None,
            )


def _is_kept(facts: Facts, slot: SlotRecord, held: Held) -> bool:
    """Whether it is something that the forward leaves behind, as far as can be told."""
    # An object may be filled long after it was made; one of torch's own, a distribution, computes as it is built.
    if held.kind in ("record", "object", "callable") and (not held.is_built_in or held.steps.endswith(_LAZY)):
        return True
    found = assigned(facts, slot)
    if not found.stages:
        return facts.has_gradients or held.kind == "container"
    return found.is_made_of_data or found.is_of_torch
