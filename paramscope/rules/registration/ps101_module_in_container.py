"""A module is reachable only through a Python container.

What it finds
: A module that owns a parameter or a buffer and lies in a plain list, tuple, dict, set or deque, in any of these
  within one another, and is registered nowhere.

Why it matters
: `parameters()`, `state_dict()`, `.to()` and `.train()` do not know it: no optimizer steps it, no checkpoint holds
  it, and it stays behind on the CPU.

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
: A frozen teacher may be hidden on purpose, so that no checkpoint holds it: that is a warning, for you to declare.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.registration._steps import hidden_modules, to_blame
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS101", "module-in-container", Severity.ERROR)

_INSTEAD = {"dict": "nn.ModuleDict", "list": "nn.ModuleList"}


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Unregistered modules at the top of what is hidden."""
    for path, held, is_frozen in hidden_modules(facts):
        if held.kind != "container":
            continue
        name, wrap = held.name, _INSTEAD["dict" if held.is_dict else "list"]
        yield Problem(
            (path,),
            "{0} is hidden in a plain container: parameters(), state_dict() and .to() do not know it, "
            + ("so it is neither saved nor moved." if is_frozen else "so it is never trained, saved or moved."),
            f"Register it: self.{name} = {wrap}(…)."
            + (" If it is hidden on purpose, declare that." if is_frozen else ""),
            Severity.WARNING if is_frozen else None,
            blame=to_blame(path),
            cause="hidden",
            alike=(facts.modules[held.owner].type, name),
        )
