"""The loss of the run does not require grad, or depends on no trainable parameter.

What it finds
: A run whose loss has no graph, or one that leads to no trainable parameter, of a model that has some. A
  **warning** where the loss is the sum that paramscope made of an output: the loss that is trained may be computed
  elsewhere. **Info** where the model is in eval mode and its forward asks for the mode.

Why it matters
: `loss.backward()` raises; or, where the loss has the graph of something else, such as its inputs, it runs through,
  and no step changes anything.

Example
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 2)

    def forward(self, x):
        return {"loss": self.fc(x).detach().square().mean()}


model, inputs = Net(), torch.ones(3, 8)
```

Instead
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 2)

    def forward(self, x):
        return {"loss": self.fc(x).square().mean()}


model, inputs = Net(), torch.ones(3, 8)
```

When it is wrong to follow it
: Where forward is for inference only, and the loss is computed by another method: hand over a function that calls
  that one as `inputs`. A model that is frozen as a whole is not reported: PS201 says that.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal
from paramscope.rules.rule import Blame, Problem, Rule, Undecided
from paramscope.rules.runtime._regions import cut_within, is_loss_made, reach
from paramscope.rules.trainability._forwards import words_of_forward

RULE = Rule("PS710", "loss-without-grad", Severity.ERROR, needs="run")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Whether something is trained, and none of it is reached."""
    run, found = facts.snapshot.run, reach(facts)
    if run is None or found.reached or not found.unreached:
        return
    loss = "the loss" if run.loss in ("the output", "output.loss") else literal(run.loss)
    roots = facts.snapshot.roots
    cut = cut_within(facts, facts.modules.position(roots[0])) if len(roots) == 1 else None
    severity = Severity.WARNING if is_loss_made(facts) else None
    yield Problem(
        roots,
        f"No trainable parameter gets a gradient: {loss} "
        + (
            "depends on none of them, so no step changes anything."
            if run.loss_requires_grad
            else "does not require grad, so backward() raises."
        ),
        "Look for torch.no_grad(), detach(), .item(), .numpy() or argmax between the parameters and the loss."
        + (" If another loss is trained, hand it over: loss=…." if severity else ""),
        # What runs the model itself may have run backward, too, and return what is left to look at.
        Severity.INFO if _asks_for_mode(facts) or run.is_by_function else severity,
        blame=None if cut is None else Blame.line(cut.at),
    )


def _asks_for_mode(facts: Facts) -> bool:
    """Whether the model is in eval mode, and the forward of one of its classes asks for that."""
    roots = facts.snapshot.roots
    if any(facts.modules[root].training for root in roots):
        return False
    types = {kind.type for kind, _ in facts.module_kinds if facts.has_own_forward(kind.type)}
    return any("training" in (words_of_forward(facts, type) or ()) for type in types)
