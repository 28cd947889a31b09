"""A module or a Parameter is reachable only through a callable.

What it finds
: A module with parameters or buffers, or a Parameter, that only a `functools.partial`, a bound method, or a
  function's closure or default holds.

Why it matters
: `parameters()`, `state_dict()` and `.to()` do not look into callables: what only they know is not trained, saved or
  moved.

Example
```python
import functools
from torch import nn

def distance(encoder, x, y):
    return (encoder(x) - encoder(y)).norm()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.criterion = functools.partial(distance, nn.Linear(4, 4))

model = Net()
```

Instead
```python
import functools
from torch import nn

def distance(encoder, x, y):
    return (encoder(x) - encoder(y)).norm()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 4)
        self.criterion = functools.partial(distance, self.encoder)

model = Net()
```

When it is wrong to follow it
: A callable may stand for something that another model owns and trains, or that is hidden on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.registration._steps import Held, hidden_modules, hidden_parameters, to_blame
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS105", "module-behind-callable", Severity.WARNING)

_KINDS = {
    "partial": "a functools.partial",
    "method": "a bound method",
    "function": "a function's closure or defaults",
}


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """What only callables hold."""
    for path, held, _ in hidden_modules(facts):
        if held.kind == "callable":
            yield _problem(facts, path, held, "Register the module as well: self.name = module.")
    for path, held, _ in hidden_parameters(facts):
        if held.kind == "callable":
            yield _problem(facts, path, held, "Register the Parameter as well: self.name = parameter.")


def _problem(facts: Facts, path: str, held: Held, instead: str) -> Problem:
    return Problem(
        (path,),
        f"{{0}} is known only to {_KINDS.get(held.thing, 'a callable')}, self.{held.name}: parameters(), "
        "state_dict() and .to() do not look there, so it is never trained, saved or moved.",
        instead,
        blame=to_blame(path),
        cause="hidden",
        alike=(facts.modules[held.owner].type, held.attribute),
    )
