"""Two Parameters share memory that torch sees as two storages.

What it finds
: Parameters that share bytes although their storages are different objects, as when `torch.from_numpy` is called
  twice on one array, or two tensors are read from one mapped file.

Why it matters
: No comparison of storages reveals it, neither torch's nor that of any tool built on it: `torch.save` writes both as
  if they were separate, yet each step of one rewrites the other.

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
: Weights that are only read may well be mapped twice; better load them in one place, so that torch sees the sharing,
  too. Where all of them are frozen it is information only.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.sharing._causes import by_cause
from paramscope.rules.sharing._forms import advice, slice_advice
from paramscope.rules.sharing._memory import (
    Group,
    aliased,
    has_several_storages,
    is_quiet,
    overlapping,
    problem,
)

RULE = Rule("PS309", "aliased-across-storages", Severity.ERROR)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Parameters that meet in memory which several storages map."""
    yield from by_cause(facts, _problems(facts))


def _problems(facts: Facts) -> Iterator[Problem | Undecided]:
    if not facts.snapshot.storage_columns.memories:
        return
    for group in aliased(facts):
        if has_several_storages(facts, group):
            yield _problem(facts, group, is_whole=True)
    for found in overlapping(facts, within_storages=False):
        if isinstance(found, Undecided):
            yield found
        elif has_several_storages(facts, found):
            yield _problem(facts, found, is_whole=False)


def _problem(facts: Facts, group: Group, *, is_whole: bool) -> Problem:
    paths = group.paths(facts)
    slots = [slots[0] for slots in group.tensors]
    is_frozen = all(is_quiet(facts, slots) for slots in group.tensors)
    how = "occupy the same memory" if is_whole else "have memory in common"
    then = (
        "all of them are frozen, so that no step changes that memory, and .to() gives each memory of its own."
        if is_frozen
        else f"a step of one rewrites the {'others' if len(slots) > 2 else 'other'}, and nothing in torch can tell."
    )
    said = advice(facts, slots)
    return problem(
        facts,
        paths,
        f"{group.names} {how} that torch sees as separate storages: {then}",
        (". " if is_frozen else "")
        + "Copy instead of mapping twice: nn.Parameter(torch.tensor(array)) for each. "
        + (f"Or, if they are meant to be one, {said.one}." if is_whole else f"Or: {slice_advice(facts, slots)}"),
        is_frozen=is_frozen,
        alike=said.is_view,
    )
