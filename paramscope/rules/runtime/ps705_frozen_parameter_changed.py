"""The run changed a parameter that does not require grad.

What it finds
: A registered, frozen parameter whose elements forward, backward or step changed.

Why it matters
: `requires_grad=False` keeps gradients away and nothing else: forward may write to it in place (`max_norm`, a
  moving average), an optimizer steps it as long as a gradient from before lies on it, and it follows whatever
  shares its memory.

Example
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 1)
        self.scale = nn.Parameter(torch.ones(4), requires_grad=False)

    def forward(self, x):
        self.scale.mul_(0.9).add_(0.1 * x.abs().mean(0))
        return self.fc(x / self.scale)


model, inputs = Net(), torch.randn(3, 4)
```

Instead
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 1)
        self.register_buffer("scale", torch.ones(4))

    def forward(self, x):
        self.scale.mul_(0.9).add_(0.1 * x.abs().mean(0))
        return self.fc(x / self.scale)


model, inputs = Net(), torch.randn(3, 4)
```

When it is wrong to follow it
: In a target network, a teacher or a momentum encoder that forward or a hook moves towards what is trained: declare
  it.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal
from paramscope.rules.optimizer._members import distinct
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.twins import copy_around
from paramscope.snapshot import Phase
from paramscope.text import listed

RULE = Rule(
    "PS705",
    "frozen-parameter-changed",
    Severity.WARNING,
    needs="backward",
    yields_to=("PS206", "PS301", "PS302", "PS306", "PS309", "PS403"),
    yields_from=Severity.WARNING,
)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Frozen tensors whose elements changed."""
    snapshot = facts.snapshot
    columns = snapshot.slot_columns
    for slot, further in distinct(facts, [kind for kind in facts.slot_kinds if kind.is_frozen]):
        run = snapshot.run_of_tensor(columns.tensors[slot])
        if run is None or not run.changed_by:
            continue
        copied = copy_around(facts, columns.modules[slot])
        message = f"{{0}} {{0|is|are}} frozen, and {listed(list(run.changed_by))} changed {{0|it|them}} all the same."
        help = _HELP[run.changed_by[-1]]
        if copied is not None:
            copy, model = (literal(facts.modules.path_at(each)) or "the root" for each in copied)
            message += f" {copy} is built like {model}, which is trained, so that may be meant: a moving average."
            help = f"If {copy} is to follow {model}, declare it; if it is to stay, see what writes to it."
        yield Problem(
            (facts.slots.path_at(slot), *facts.paths(further)),
            message,
            help,
            blame=None,
            alike=(run.changed_by, copied),
        )


_HELP: dict[Phase, str] = {
    "forward": "See what writes to {0|it|them} in forward, and leave it out, or register what is meant to move as a "
    "buffer: self.register_buffer(name, …).",
    "backward": "See what hook writes to {0|it|them} while gradients are computed.",
    "step": "Set .grad to None when you freeze a parameter, leave it out of the optimizer, and see what hooks the "
    "step has.",
}
"""By the last phase in which something changed."""
