"""The run changed a buffer of a module whose parameters are all frozen.

What it finds
: A registered buffer that forward, backward or step changed, of a module that has parameters of its own, none of
  which requires grad.

Why it matters
: `requires_grad_(False)` stops gradients only: running statistics, codebooks and counters go on, and the frozen
  module gives other results after each step.

Example
```python
import torch
from torch import nn


class Codes(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        if self.training:
            self.mean.lerp_(x.detach().mean(0), 0.1)
        return self.scale * x - self.mean.clone()


model, inputs = nn.Sequential(nn.Linear(4, 4), Codes()), torch.ones(3, 4)
model[1].requires_grad_(False)
```

Instead
```python
import torch
from torch import nn


class Codes(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        if self.training:
            self.mean.lerp_(x.detach().mean(0), 0.1)
        return self.scale * x - self.mean.clone()


model, inputs = nn.Sequential(nn.Linear(4, 4), Codes()), torch.ones(3, 4)
model[1].requires_grad_(False)
model[1].eval()  # again after every model.train()
```

When it is wrong to follow it
: Where the statistics are meant to follow the data, or to be moved along, as in a teacher or a momentum encoder.
  Information only; where PS202 speaks of the same module, this rule does not.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal
from paramscope.rules.places import own_parameters
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import REQUIRES_GRAD
from paramscope.text import listed

RULE = Rule("PS703", "frozen-buffer-updated", Severity.INFO, needs="backward", yields_to=("PS202",))


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Changed buffers, by the frozen module that holds them."""
    snapshot = facts.snapshot
    tensors, modules = snapshot.slot_columns.tensors, snapshot.slot_columns.modules
    changed: dict[int, list[int]] = {}
    for kind in facts.slot_kinds:
        for slot in kind.slots if kind.role == "buffer" and kind.is_registered and kind.spec else ():
            run = snapshot.run_of_tensor(tensors[slot])
            if run is not None and run.changed_by:
                changed.setdefault(modules[slot], []).append(slot)
    for module, slots in sorted(changed.items()):
        if _is_frozen(facts, module):
            names = listed([literal(facts.slots.at(slot).name) for slot in sorted(slots)])
            yield Problem(
                (facts.modules.path_at(module), *facts.paths(sorted(slots))),
                f"{{0}} {{0|is|are}} frozen, and the run changed {{0|its|their}} {names} all the same.",
                "If {0} {0|is|are} to stay as {0|it is|they are}, call .eval() on {0|it|them}, again after every "
                "model.train(), or see what in forward updates buffers.",
                blame=None,
            )


def _is_frozen(facts: Facts, module: int) -> bool:
    """Whether a module has parameters of its own, and all of them are frozen."""
    tensors, flags = facts.snapshot.slot_columns.tensors, facts.snapshot.tensor_columns.flags
    own = [flags[tensors[slot]] & REQUIRES_GRAD for slot in own_parameters(facts, module)]
    return bool(own) and not any(own)
