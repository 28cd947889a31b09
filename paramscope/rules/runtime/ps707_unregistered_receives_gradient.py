"""The loss depends on a tensor that is no registered Parameter and in no optimizer.

What it finds
: A leaf that requires grad, that a gradient reaches from the loss, and that is neither a registered Parameter nor
  in a param group. A **warning** in a module that is hidden, as in a list around an argument: it may have an
  optimizer of its own. Where a rule of PS1xx warns of the same place, this rule does not speak.

Why it matters
: `parameters()` does not hold it, so an optimizer that is built of that never steps it, `zero_grad()` never clears
  it, and its gradient grows with each backward.

Example
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, critic):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.critic = [critic]  # hidden, so that it is not saved

    def forward(self, x):
        return self.critic[0](self.fc(x))


model, inputs = Net(nn.Linear(4, 1)), torch.ones(3, 4)
```

Instead
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, critic):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.critic = [critic.requires_grad_(False)]

    def forward(self, x):
        return self.critic[0](self.fc(x))


model, inputs = Net(nn.Linear(4, 1)), torch.ones(3, 4)
```

When it is wrong to follow it
: Where another part of the program steps it, and clears its gradient: hand that optimizer over, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.optimizer._members import distinct
from paramscope.rules.places import upwards
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.text import shape

RULE = Rule(
    "PS707",
    "unregistered-receives-gradient",
    Severity.ERROR,
    needs="run",
    yields_to=("PS101", "PS102", "PS103", "PS105", "PS106", "PS107", "PS108", "PS109", "PS112"),
    yields_from=Severity.WARNING,
)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Reached leaves that no optimizer built of parameters() holds, each hidden module as one."""
    snapshot = facts.snapshot
    tensors = snapshot.slot_columns.tensors
    learned = {tensors[slot] for kind in facts.slot_kinds if kind.is_trainable for slot in kind.slots}
    outside = [kind for kind in facts.slot_kinds if kind.requires_grad and kind.is_leaf and kind.spec]
    hidden: dict[int, list[int]] = {}
    for slot, _ in distinct(facts, [kind for kind in outside if not kind.is_trainable and not kind.groups]):
        run = snapshot.run_of_tensor(tensors[slot])
        if run is not None and run.reached and tensors[slot] not in learned:
            module = snapshot.slot_columns.modules[slot]
            above = [each for each in upwards(facts, module) if each in facts.hidden_roots]
            if above:
                hidden.setdefault(above[0], []).append(slot)
            else:
                yield Problem((facts.slots.path_at(slot),), _MESSAGE, _HELP)
    for loose in snapshot.run.loose if snapshot.run and facts.has_optimizer else ():
        yield Problem(
            snapshot.roots,
            f"A Parameter of {shape(loose.shape)} {loose.dtype} gets gradients, and neither the model nor the "
            "optimizer holds it: no step changes it, and it is not saved.",
            "Make it once, in __init__ of a module, and hand its parameters() to the optimizer; a Parameter that is "
            "made in a loss function or in forward is a new one each time.",
        )
    for module, slots in hidden.items():
        path = facts.modules.path_at(module)
        yield Problem((path, *facts.paths(slots)), _MESSAGE, _HELP, Severity.WARNING)


_MESSAGE = (
    "{0} {0|gets|get} gradients, and {0|is not registered|are not registered}: parameters() does not hold "
    "{0|it|them}, so no step changes {0|it|them}, and zero_grad() does not clear the gradients."
)
_HELP = (
    "Register {0|it|them} if {0|it is|they are} to be trained; if not, {0}.requires_grad_(False). If another "
    "optimizer steps {0|it|them}, hand that over, too."
)
