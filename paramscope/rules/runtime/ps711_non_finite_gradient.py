"""A gradient holds NaN or infinity.

What it finds
: Parameters whose gradient, after backward, has an element that is not finite. A **warning** where all of them are
  float16: without the scaling of `torch.amp.GradScaler`, which skips such steps, they overflow.

Why it matters
: The next step makes the parameters NaN, and everything that they touch. Where the loss is finite, the cause is an
  operation that is finite where its derivative is not: the root or the norm of zero, a division in the branch of a
  `torch.where` that was not taken, `exp` of a large number.

Example
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return (self.fc(x) - self.fc(x)).pow(2).sum().sqrt()  # the root of zero


model, inputs = Net(), torch.ones(3, 4)
```

Instead
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return (self.fc(x) - self.fc(x)).pow(2).sum().add(1e-8).sqrt()


model, inputs = Net(), torch.ones(3, 4)
```

When it is wrong to follow it
: With inputs that never occur, such as zeros or ones that were made up: run it with real ones.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.optimizer._members import distinct
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS711", "non-finite-gradient", Severity.ERROR, needs="backward", yields_to=("PS506",))


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Tensors with such a gradient, as one finding."""
    snapshot = facts.snapshot
    tensors = snapshot.slot_columns.tensors
    learned = [kind for kind in facts.slot_kinds if kind.requires_grad and kind.is_leaf and kind.spec]
    found = []
    for slot, further in distinct(facts, learned):
        run = snapshot.run_of_tensor(tensors[slot])
        if run is not None and run.grad == "non-finite":
            found.append((slot, *further))
    is_finite = snapshot.run is not None and snapshot.run.is_loss_finite is not False
    is_half = all(facts.slots.at(slot).dtype == "float16" for slot, *_ in found)
    for slots in found:
        yield Problem(
            tuple(facts.paths(slots)),
            "Backward leaves NaN or infinity in the gradient of {0}"
            + (", though the loss is finite." if is_finite else ": the loss is not finite."),
            "Scale the loss: torch.amp.GradScaler; or train in bfloat16."
            if is_half and is_finite
            else "Find the operation: with torch.autograd.detect_anomaly(): loss.backward(). Usual ones are sqrt, "
            "norm, log and division at zero, also in the branch of a torch.where that was not taken."
            if is_finite
            else "Find the first module whose output is not finite, and see what it was given.",
            Severity.WARNING if is_half else None,
            blame=None,
            alike="non-finite",
        )
