"""A class attribute holds parameters.

What it finds
: A Parameter, or a module with parameters or buffers, that is defined in a class body.

Why it matters
: All instances share it, and none registers it: `parameters()`, `state_dict()` and `.to()` do not see it.

Example
```python
import torch
from torch import nn

class Net(nn.Module):
    shift = nn.Parameter(torch.zeros(4))

model = Net()
```

Instead
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(4))

model = Net()
```

When it is wrong to follow it
: A constant tensor that all instances share is information only, though `.to()` does not move it either. A list in
  which a class keeps its own instances (`Neuron.instances.append(self)`) is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.places import class_names
from paramscope.rules.registration._steps import Hidden, held_attributes, hidden_modules
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS108", "class-level-tensor", Severity.ERROR, yields_to=("PS107",))


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """What is reached through a class."""
    for hidden in hidden_modules(facts):
        if hidden.held.kind == "class" and not _is_registry(facts, hidden):
            yield _problem(hidden.path, hidden.held.name, "Module")
    for kind, slot, held in held_attributes(facts, lambda kind: kind.name.startswith("::")):
        if kind.is_parameter:
            yield _problem(slot.path, held.name, "Parameter")
        elif not kind.requires_grad:
            # A plain tensor that requires grad, or has a graph, is reported for that.
            yield Problem(
                (slot.path,),
                "All instances of the class share {0}, {0|a tensor|tensors} in its body: .to() does not move "
                "{0|it|them}, and state_dict() does not contain {0|it|them}.",
                "If each instance is to move it, register it in __init__: "
                f'self.register_buffer("{held.name}", …, persistent=False).',
                Severity.INFO,
            )


def _is_registry(facts: Facts, hidden: Hidden) -> bool:
    """Whether a class keeps its own instances in a container: each belongs to the model that it was built for."""
    owner, inner = (set(class_names(facts, facts.modules[path].type)) for path in (hidden.held.owner, hidden.path))
    is_kin = any(not name.startswith(("torch.", "abc.", "typing.")) for name in owner & inner)
    return is_kin and bool(hidden.held.steps)


def _problem(path: str, name: str, what: str) -> Problem:
    return Problem(
        (path,),
        f"The class body holds {{0}}, {{0|a {what}|{what}s}}: all instances share {{0|it|them}} and none registers "
        "{0|it, so it is|them, so they are} never trained, saved or moved.",
        f"Assign it in __init__: self.{name} = ….",
    )
