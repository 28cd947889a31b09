"""A module or a Parameter is reachable only through an object that is no module.

What it finds
: A module with parameters or buffers, or a Parameter, that only an attribute of a plain object holds, in its
  `__dict__` or its `__slots__`. The line is the one in the class of that object, or that which makes the object of
  it.

Why it matters
: `parameters()`, `state_dict()` and `.to()` look into modules alone: what an object of another class holds is not
  trained, saved or moved.

Example
```python
from torch import nn

class Sampler:
    def __init__(self):
        self.scorer = nn.Linear(4, 1)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.sampler = Sampler()

model = Net()
```

Instead
```python
from torch import nn

class Sampler(nn.Module):
    def __init__(self):
        super().__init__()
        self.scorer = nn.Linear(4, 1)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.sampler = Sampler()

model = Net()
```

When it is wrong to follow it
: The object may belong to another model that it refers to, or hide something on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.registration._steps import Held, hidden_modules, hidden_parameters, to_blame
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS106", "module-behind-object", Severity.WARNING)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """What only objects hold; records with Parameters are another rule's."""
    for path, held, _ in hidden_modules(facts):
        if held.kind in ("object", "record"):
            yield _problem(facts, path, held)
    for path, held, _ in hidden_parameters(facts):
        if held.kind == "object":
            yield _problem(facts, path, held)


def _problem(facts: Facts, path: str, held: Held) -> Problem:
    return Problem(
        (path,),
        f"{{0}} lies in a {held.thing}, which is no nn.Module: parameters(), state_dict() and .to() do not look "
        "there, so it is never trained, saved or moved.",
        f"Make {held.thing} an nn.Module, or register on the module itself what lies in self.{held.name}.",
        blame=to_blame(path),
        cause="hidden",
        alike=(facts.modules[held.owner].type, held.attribute, held.thing),
    )
