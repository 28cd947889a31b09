"""A Parameter is reachable only through a Python container.

What it finds
: A Parameter that sits in a plain list, tuple, dict, set or deque, in a dataclass, a namedtuple or a SimpleNamespace,
  and is registered nowhere.

Why it matters
: `parameters()`, `state_dict()` and `.to()` do not look into containers: no optimizer steps it, no checkpoint holds
  it, and it stays behind on the CPU.

Example
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scales = [nn.Parameter(torch.ones(4)) for _ in range(3)]

model = Net()
```

Instead
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(4)) for _ in range(3))

model = Net()
```

When it is wrong to follow it
: Where the container only refers to something that another model owns and trains. One pair of brackets around an
  argument, `self.weight = [weight]`, is information only; in other cases, audit that model together with this one.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.registration._steps import hidden_parameters, nested_in
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS102", "parameter-in-container", Severity.ERROR, yields_to=("PS101",))


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Parameters that only containers or records hold."""
    nested = nested_in(hidden_parameters(facts))
    for hidden in hidden_parameters(facts):
        held = hidden.held
        if held.kind == "container":
            wrap = "nn.ParameterDict" if held.is_dict else "nn.ParameterList"
            where, instead = "A plain container", f"Register it: self.{held.name} = {wrap}(…)."
            if held.path in nested:
                instead = (
                    f"Register each level: in self.{held.name} an nn.ModuleList or nn.ModuleDict for every list or "
                    "dict of containers, and an nn.ParameterList or nn.ParameterDict for every one of Parameters."
                )
        elif held.kind == "record":
            where = f"An object of class {held.thing}"
            instead = (
                "Register it: assign the Parameter itself to the module, self.name = nn.Parameter(…), or make "
                f"{held.thing} an nn.Module."
            )
        else:
            continue
        yield hidden.problem(facts, f"{where} hides {{0}}", instead)
