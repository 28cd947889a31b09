"""A buffer carries an autograd graph.

What it finds
: A registered buffer that is not a leaf: it was computed from tensors that require grad, and remembers how. The line
  is one that can have created that graph, never one that registers zeros or runs under `no_grad`.

Why it matters
: The next step continues from it, through the graph of the previous step: the second backward fails, or the graph,
  and the memory it holds, grows from step to step. `copy.deepcopy` of the model fails as well.

Example
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)
        self.register_buffer("mean", torch.zeros(4))
        self.mean = 0.9 * self.mean + 0.1 * self.lin.weight.mean(0)

model = Net()
```

Instead
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)
        self.register_buffer("mean", torch.zeros(4))
        self.mean = 0.9 * self.mean + 0.1 * self.lin.weight.detach().mean(0)

model = Net()
```

A buffer computed once from trained parameters is a different case: with `.detach()` they would get no gradient at
all. Compute it in forward.

When it is wrong to follow it
: Where a graph over several steps is intended, as in truncated backpropagation through time; then keep it in a plain
  attribute and detach it yourself. Where each forward recomputes the buffer and the class defines how it is copied
  (`__deepcopy__`), nothing fails: that is information only.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.naming import literal
from paramscope.rules.registration._assigned import assigned, reads, target, uses
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS113", "buffer-with-graph", Severity.ERROR)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Buffers that are no leaves."""
    for kind in facts.slot_kinds:
        if kind.role != "buffer" or not kind.is_registered or kind.spec is None or kind.is_leaf:
            continue
        for position in kind.slots:
            path = facts.slots.path_at(position)
            if not facts.is_recomputed(path):
                yield _problem(facts, kind, position)


_FAILS = (
    "{0|is a buffer|are buffers} with a graph behind {0|it|them}: the second backward through {0|it|them} fails, and "
    "so does copy.deepcopy of the model."
)
_RENEWED = (
    "{0|is a buffer|are buffers} that each forward computes anew, with {0|its|their} graph: copy.deepcopy of the "
    "model fails."
)
_COPIED = (
    "{0|is a buffer|are buffers} that each forward computes anew, with {0|its|their} graph; the class defines how it "
    "is copied, so copy.deepcopy of the model works."
)


def _problem(facts: Facts, kind: SlotKind, position: int) -> Problem:
    slot = facts.slots.at(position)
    found, use = assigned(facts, slot), reads(facts, slot)
    copies_itself = uses(facts, kind.owner.type).has("__deepcopy__")
    is_renewed = use.is_renewed and found.stages >= {"forward"}
    written = target(facts, slot, "graph")
    place = f"{literal(written)} = ….detach()" if written else "….detach()"
    message = f"{{0}} {_FAILS}"
    if is_renewed:
        message = f"{{0}} {_COPIED if copies_itself else _RENEWED}"
        instead = f"Keep {{0|it|them}} in a local variable, or cut {{0|it|them}} off for keeping: {place}."
    elif use.is_carried or found.is_of_itself or found.stages & {"forward", "other"}:
        cut = f"Cut {{0|it|them}} off where {{0|it is|they are}} assigned: {place}"
        instead = f"{cut}, or compute {{0|it|them}} under torch.no_grad()."
    elif found.stages:
        instead = (
            "Compute {0|it|them} in forward from what {0|it was|they were} computed from here: made once, "
            "{0|it does|they do} not follow that in training."
        )
    else:
        instead = (
            "If {0|it is|they are} made of parameters that are trained, compute {0|it|them} in forward. If "
            "{0|it is|they are} updated from step to step, cut the past off where that is done."
        )
    severity = Severity.INFO if is_renewed and copies_itself else None
    return Problem((slot.path,), message, instead, severity, cause="graph")
