"""One module is registered under several names.

What it finds
: A module object with parameters or buffers that stands in more than one place of the model. The line is the one
  that gives it its further name: `self.b = self.a`.

Why it matters
: It is worth knowing: its parameters are trained by every place together, are counted and stepped once, and stand in
  `state_dict()` under each name.

Example
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 4)
        self.decoder = self.encoder

model = Net()
```

Instead
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 4)
        self.decoder = nn.Linear(4, 4)

model = Net()
```

When it is wrong to follow it
: Where the sharing is meant. Then there is nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.registration._repeats import holds_tensors, repeated_modules, shared_modules
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.sharing._memory import last_assigned

RULE = Rule("PS110", "shared-module", Severity.INFO, yields_to=("PS111",))


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Modules with more than one place."""
    # Of copies that share what lies in them, their list is told.
    copies = {member for each in repeated_modules(facts) if not each.is_one_object for member in each.members}
    for places in shared_modules(facts):
        if all(facts.parents[place] in copies for place in places) or not holds_tensors(facts, places[0]):
            continue
        paths = tuple(map(facts.modules.path_at, places))
        yield Problem(
            paths,
            "{0} is one module with " + f"{len(paths) - 1:,} more " + ("name" if len(paths) == 2 else "names") + ": "
            "all of them use, train and save the same tensors.",
            "If each place is to have weights of its own, build a module for each, or copy.deepcopy it.",
            blame=last_assigned(facts, paths, "alias"),
            alike=paths[0],
            cause="alias",
        )
