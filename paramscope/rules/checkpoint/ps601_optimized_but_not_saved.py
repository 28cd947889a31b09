"""An optimizer trains a tensor that no checkpoint will contain.

What it finds
: A tensor that an optimizer steps and that lies in the model, but in no place that `state_dict()` saves: an
  attribute, a parameter in a plain container, a buffer with `persistent=False`.

Why it matters
: It is trained, and lost: a model loaded from the checkpoint starts from other values, and no missing key says so.

Example
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 2)
        self.prompt = torch.zeros(3, 4, requires_grad=True)

model = Net()
optimizer = torch.optim.Adam([*model.parameters(), model.prompt])
```

Instead
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 2)
        self.prompt = nn.Parameter(torch.zeros(3, 4))

model = Net()
optimizer = torch.optim.Adam(model.parameters())
```

When it is wrong to follow it
: What serves only one run, such as the multipliers of a constraint, need not be saved. Where a module has its own
  code for saving, the rule is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.once import once
from paramscope.rules.optimizer._members import distinct
from paramscope.rules.registration._steps import held_by
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot.memory import Span

RULE = Rule("PS601", "optimized-but-not-saved", Severity.ERROR, needs="optimizer")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Stepped slots in no place that is saved."""
    kinds = [
        kind
        for kind in facts.slot_kinds
        if kind.groups
        and kind.spec is not None
        and (kind.requires_grad or kind.has_grad)
        and (not kind.is_registered or kind.persistent is False)
    ]
    for slot, further in distinct(facts, kinds):
        fates = _fates(facts, slot)
        if True in fates:
            continue
        path = facts.slots.path_at(slot)
        if None in fates:
            yield Undecided(f"whether {path} is saved cannot be told")
            continue
        held = held_by(facts, path)
        yield Problem(
            tuple(facts.paths([slot, *further])),
            "state_dict() does not hold {0}, which an optimizer trains: what is learned there is lost when the model "
            "is saved.",
            "Register it, as an nn.Parameter or in an nn.ParameterList or nn.ParameterDict, or save it yourself "
            "beside the model.",
            alike=None if held is None else (facts.modules[held.owner].type, held.attribute),
        )


def _fates(facts: Facts, slot: int) -> set[bool | None]:
    """Whether each slot is saved that holds the same tensor, or another one over exactly the same memory."""
    tensor = facts.snapshot.slot_columns.tensors[slot]
    same = facts.slots_of_tensor[tensor] if tensor in facts.tied else [slot]
    return {facts.slots.at(each).saved for each in same} | _by_memory(facts).get(facts.spans(tensor), set())


@once
def _by_memory(facts: Facts) -> dict[tuple[Span, ...], set[bool | None]]:
    """By the memory that several tensors cover exactly, whether each of their slots is saved."""
    found: dict[tuple[Span, ...], set[bool | None]] = {}
    # Facts of sharing name all slots that take part, also the further ones of a tied tensor.
    for record in facts.snapshot.sharing:
        for path in record.slots if record.kind == "aliased" else ():
            slot = facts.slots[path]
            assert slot.tensor is not None
            found.setdefault(facts.spans(slot.tensor), set()).add(slot.saved)
    return found
