"""A Parameter in which several indices refer to one element.

What it finds
: A Parameter with a stride of 0, as `expand` leaves it, or with strides that lead from several indices to one
  element.

Why it matters
: Optimizers and `load_state_dict()` write in place, and torch refuses to write to such a tensor: "more than one
  element of the written-to tensor refers to a single memory location". It also has fewer values than it counts.

Example
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.position = nn.Parameter(torch.zeros(1, 8).expand(16, 8))

model = Net()
```

Instead
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.position = nn.Parameter(torch.zeros(1, 8))  # and position.expand(16, 8) in forward

model = Net()
```

When it is wrong to follow it
: Never, if it is trained or loaded. Keep the small tensor and expand it in `forward`: autograd adds up the gradients.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import text
from paramscope.analysis.overlap import overlaps_itself
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import unbraced
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.sharing._forms import copy_of
from paramscope.rules.sharing._memory import registered_parameters, slots_in

RULE = Rule("PS303", "self-overlapping-parameter", Severity.ERROR)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Parameters that capture saw to overlap themselves, or could not decide."""
    for slots in slots_in(facts, "self-overlapping"):
        for held in registered_parameters(facts, slots).values():
            record = facts.slots.at(held[0])
            values = 1
            for size, step in zip(record.shape or (), record.stride or (), strict=True):
                values *= size if step else 1
            is_expanded = values != record.numel
            yield Problem(
                tuple(facts.paths(held)),
                "{0} {0|has|have} several indices for one element"
                + (f" ({text.count(record.numel)} elements, {text.count(values)} in memory)" if is_expanded else "")
                + ": optimizers and load_state_dict() write in place, which torch refuses for such a tensor.",
                f"Give each element memory of its own, {unbraced(copy_of(facts, record.path))}"
                + ("; or keep what is small as the Parameter, and expand it in forward." if is_expanded else "."),
                is_apart=True,
            )
    for note in facts.snapshot.notes:
        if note.kind == "overlap":
            slot = facts.slots.position(note.path)
            record = facts.slots.at(slot)
            is_doubtful = overlaps_itself(record.shape or (), record.stride or ()) is None
            if is_doubtful and registered_parameters(facts, [slot]):
                yield Undecided(f"whether several indices of {note.path} are one element was not decided")
