"""The layers of a list are all the same layer.

What it finds
: A module with parameters that appears several times in one ModuleList or Sequential, as after `[layer] * n`; or
  distinct modules of one list that hold the very same parameters, as after `copy.copy`.

Why it matters
: The model looks n layers deep, but trains the weights of one: `[layer] * n` repeats the reference, and `copy.copy`
  copies the module, not its parameters.

Example
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4)] * 3)

model = Net()
```

Instead
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])

model = Net()
```

When it is wrong to follow it
: Some architectures share the weights of all layers; one layer that the forward calls n times says so more plainly. A
  tie that the model declares is not reported, and it is information only where the code asks for the sharing: under a
  flag (`if share_layers:`), by a name (`[shared_block] * n`), or where a part of one child is assigned to the others
  (`layer.codebook = first.codebook`). Children without parameters are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.registration._repeats import repeated_modules
from paramscope.rules.registration._requests import is_repeat_asked_for
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS111", "repeated-module", Severity.WARNING)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Lists with members that are one."""
    declared = [path for tie in facts.snapshot.declared_ties for pair in tie.pairs for path in pair]
    for found in repeated_modules(facts):
        paths = tuple(map(facts.modules.path_at, found.members))
        # The model itself says of what lies in one of them that it is tied.
        if any(path.startswith(f"{member}.") for member in paths for path in declared):
            continue
        how = "that hold one and the same module"
        if not found.is_one_object:
            how = "whose modules hold one and the same parameters"
        is_asked = is_repeat_asked_for(facts, found)
        asked = ", as the code asks" if is_asked else ""
        yield Problem(
            paths,
            f"{{0}} is one of {len(paths):,} places in a list {how}{asked}: all of them train the weights of one "
            "layer.",
            ("If that is not meant, build" if is_asked else "Build")
            + " one for each place: nn.ModuleList([Layer(…) for _ in range(n)]), or copy.deepcopy(layer).",
            Severity.INFO if is_asked else None,
            blame=paths[-1],
            alike=paths[0],
            cause="alias",
        )
