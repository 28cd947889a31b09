"""A buffer is None until forward fills it.

What it finds
: `register_buffer(name, None)` whose class assigns that buffer in `forward`, or in a method or property that it uses.

Why it matters
: An empty buffer has no entry in `state_dict()`, so the keys depend on whether the model has run: a fresh model
  rejects the checkpoint of one that has (unexpected key), and one that has run misses the key in the checkpoint of a
  fresh one.

Example
```python
import torch
from torch import nn

class Centered(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("center", None)

    def forward(self, x):
        if self.center is None:
            self.center = x.detach().mean(0)
        return x - self.center

model = Centered()
```

Instead
```python
import torch
from torch import nn

class Centered(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.register_buffer("center", torch.zeros(size))
        self.register_buffer("is_fitted", torch.tensor(False))

    def forward(self, x):
        if not self.is_fitted:
            self.center.copy_(x.detach().mean(0))
            self.is_fitted.fill_(True)
        return x - self.center

model = Centered(4)
```

When it is wrong to follow it
: Where the buffer is a cache that does not belong in a checkpoint. Then say so: `register_buffer(name, None,
  persistent=False)`.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import source
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.registration._made import in_forward
from paramscope.rules.rule import Blame, Problem, Rule, Undecided
from paramscope.text import name as printable

RULE = Rule("PS116", "buffer-filled-in-forward", Severity.INFO)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Empty buffers that are saved once they are filled."""
    for kind in facts.slot_kinds:
        if kind.role != "buffer" or not kind.is_registered or kind.persistent is False:
            continue
        filled = _filled(facts, kind)
        if filled is None:
            continue
        for path in facts.paths(kind.slots):
            # What a call has filled was empty where the constructor says so.
            if kind.spec is not None and not _is_registered_empty(facts, path):
                continue
            name = printable(kind.name)
            yield Problem(
                (path,),
                "{0} is a buffer that is empty until forward fills it: state_dict() has its key only after that, so "
                "a fresh model refuses the checkpoint of one that has run.",
                f'Register a tensor of the final shape: self.register_buffer("{name}", torch.zeros(…)), and fill it '
                f"in place: self.{name}.copy_(…); or, if it need not be saved, say persistent=False.",
                blame=Blame.line(filled),
            )


def _filled(facts: Facts, kind: SlotKind) -> source.finder.Assignment | None:
    """Where the forward assigns it."""
    for each in in_forward(facts, kind.owner.type):
        if each.steps == (kind.name,) and not source.causes.is_nothing(each.assignment.value):
            return each.assignment
    return None


def _is_registered_empty(facts: Facts, path: str) -> bool:
    """Whether its class registers a buffer as None in plain sight, and gives it nothing else in its constructor."""
    made = [each for each in source.owners.locate(facts.snapshot, path).assignments if each.method == "__init__"]
    return bool(made) and all(each.how == "register_buffer" and source.causes.is_nothing(each.value) for each in made)
