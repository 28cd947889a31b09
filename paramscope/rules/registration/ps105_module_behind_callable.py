"""A module or a Parameter is reachable only through a callable.

What it finds
: A module with parameters or buffers, or a Parameter, that is held only by a `functools.partial`, a bound method, or
  a function's closure or default.

Why it matters
: `parameters()`, `state_dict()` and `.to()` do not look into callables: what only they hold is not trained, saved or
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
: The callable may refer to something that another model owns and trains. Where it wraps an argument in one pair of
  brackets, `self.run = (functools.partial(f, model),)`, that is evident, and this is information only.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.registration._steps import Hidden, hidden_modules, hidden_parameters
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS105", "module-behind-callable", Severity.WARNING)

_KINDS = {
    "partial": "a functools.partial",
    "method": "a bound method",
    "function": "the closure or the defaults of a function",
}

_OF_CALLABLES = ("->func", "->args", "->keywords", "->__self__", "->__defaults__", "->__kwdefaults__", "-><")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """What only callables hold."""
    for told, what in ((hidden_modules(facts), "module"), (hidden_parameters(facts), "Parameter")):
        for hidden in told:
            if hidden.held.kind == "callable":
                yield _problem(facts, hidden, f"Register the {what} as well: self.name = {what.lower()}.")


def _problem(facts: Facts, hidden: Hidden, instead: str) -> Problem:
    held = hidden.held
    # The attribute is the callable itself, or what this lies in.
    where = f", self.{held.name}," if held.steps.startswith(_OF_CALLABLES) else f" in self.{held.name}"
    # The closure or the defaults of a function are two.
    knows = "know" if held.thing == "function" else "knows"
    return hidden.problem(facts, f"Only {_KINDS.get(held.thing, 'a callable')}{where} {knows} {{0}}", instead)
