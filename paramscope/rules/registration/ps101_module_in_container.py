"""A module is reachable only through a Python container.

What it finds
: A module with a parameter or a buffer that sits in a plain list, tuple, dict, set or deque, nested or not, and is
  registered nowhere.

Why it matters
: `parameters()`, `state_dict()`, `.to()` and `.train()` do not see it: no optimizer steps it, no checkpoint holds it,
  and it stays behind on the CPU.

Example
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(4, 4) for _ in range(3)]

model = Net()
```

Instead
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

model = Net()
```

When it is wrong to follow it
: A module that belongs to another part of the model is often hidden on purpose, by one pair of brackets around an
  argument, `self.online = [model]` or `(functools.partial(f, model),)`. That is information only, and so is a frozen
  module that the class moves itself (it overrides `_apply`, `to`, `cuda` or `train` for it, or moves it where it is
  used). Any other module that is entirely frozen, such as a teacher kept out of the checkpoint, is a warning; if it
  is intended, declare it.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.registration._steps import hidden_modules, nested_in
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS101", "module-in-container", Severity.ERROR)

_INSTEAD = {"dict": "nn.ModuleDict", "list": "nn.ModuleList"}


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Unregistered modules at the top of what is hidden."""
    nested = nested_in(hidden_modules(facts))
    for hidden in hidden_modules(facts):
        held = hidden.held
        if held.kind != "container":
            continue
        name, wrap = held.name, _INSTEAD["dict" if held.is_dict else "list"]
        register = f"it: self.{name} = {wrap}(…)."
        if held.path in nested:
            register = f"each level: in self.{name} an nn.ModuleList for every list, an nn.ModuleDict for every dict."
        instead = f"{'If nobody else owns it, register' if hidden.on_purpose else 'Register'} {register}"
        if hidden.is_frozen and not hidden.on_purpose:
            instead += " If it is hidden on purpose, declare that."
        severity = Severity.WARNING if hidden.is_frozen else None
        yield hidden.problem(facts, "A plain container hides {0}", instead, severity)
