"""Two Parameters lie over one memory that torch knows as two storages.

What it finds
: Parameters that share bytes although their storages are different objects, as when `torch.from_numpy` is called
  twice on one array, or two tensors are read from one mapped file.

Why it matters
: No comparison of storages tells it, neither torch's nor that of any tool built on it: `torch.save` writes both as if
  they were apart, and still each step of one rewrites the other.

Example
```python
import numpy as np
import torch
from torch import nn

vectors = np.ones((10, 4), dtype=np.float32)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Parameter(torch.from_numpy(vectors))
        self.context = nn.Parameter(torch.from_numpy(vectors))

model = Net()
```

Instead
```python
import numpy as np
import torch
from torch import nn

vectors = np.ones((10, 4), dtype=np.float32)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Parameter(torch.tensor(vectors))  # copies
        self.context = nn.Parameter(torch.tensor(vectors))

model = Net()
```

When it is wrong to follow it
: Weights that are only read may well be mapped twice. Then load them in one place, so that torch sees it, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.sharing._memory import Group, aliased, has_several_storages, last_assigned, overlapping

RULE = Rule("PS309", "aliased-across-storages", Severity.ERROR)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Parameters that meet in memory which several storages map."""
    if not facts.snapshot.storage_columns.memories:
        return
    for group in aliased(facts):
        if has_several_storages(facts, group):
            yield _problem(facts, group, "occupy the same memory")
    for found in overlapping(facts, within_storages=False):
        if isinstance(found, Undecided):
            yield found
        elif has_several_storages(facts, found):
            yield _problem(facts, found, "have memory in common")


def _problem(facts: Facts, group: Group, how: str) -> Problem:
    paths = group.paths(facts)
    return Problem(
        paths,
        f"{group.names} {how} that torch takes for separate storages: a step of one rewrites the other, and nothing "
        "in torch can tell.",
        "Copy instead of mapping twice: nn.Parameter(torch.tensor(array)) for each; or, if they are meant to be one, "
        "{1} = {0}.",
        blame=last_assigned(facts, paths, "alias"),
        cause="alias",
    )
