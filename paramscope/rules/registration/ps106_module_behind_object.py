"""A module or a Parameter is reachable only through an object that is not a module.

What it finds
: A module with parameters or buffers, or a Parameter, that is held only by an attribute of a plain object, in its
  `__dict__` or its `__slots__`: an object of a class of your own, whatever its name or bases, or of
  `torch.distributions`, even if the distribution holds only what it computed from the Parameter. The line is the
  assignment in that object's class, or the one that creates the object.

Why it matters
: `parameters()`, `state_dict()` and `.to()` look only into modules: what any other object holds is not trained, saved
  or moved.

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
: The object may belong to another model that it refers to, or hide something on purpose. Where it was passed to the
  module and holds that module as well, as a trainer does, this is information only. Optimizers, schedulers, loaders,
  and the configs, trainers and loggers of libraries are not looked into.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.registration._steps import Hidden, hidden_modules, hidden_parameters
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS106", "module-behind-object", Severity.WARNING)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """What only objects hold; records with Parameters are another rule's."""
    for hidden in hidden_modules(facts):
        if hidden.held.kind in ("object", "record"):
            yield _problem(facts, hidden)
    for hidden in hidden_parameters(facts):
        if hidden.held.kind == "object":
            yield _problem(facts, hidden)


def _problem(facts: Facts, hidden: Hidden) -> Problem:
    held = hidden.held
    instead = f"Make {held.thing} an nn.Module, or register on the module itself what lies in self.{held.name}."
    if held.is_built_in:
        instead = (
            f"Register what the {held.thing} in self.{held.name} is built from, self.name = nn.Parameter(…), and "
            f"build the {held.thing} from that in forward."
        )
    opening = f"An object of class {held.thing}, which is not an nn.Module, hides {{0}}"
    return hidden.problem(facts, opening, instead)
