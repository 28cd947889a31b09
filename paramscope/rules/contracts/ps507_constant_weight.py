"""A weight matrix is all one value.

What it finds
: Registered parameters with at least two dimensions larger than one whose elements are all equal.

Why it matters
: All units of such a layer compute the same and get the same gradient: they stay equal, and the layer is worth a
  single unit.

Example
```python
from torch import nn

model = nn.Linear(4, 4)
nn.init.ones_(model.weight)
```

Instead
```python
from torch import nn

model = nn.Linear(4, 4)
nn.init.xavier_uniform_(model.weight)
```

When it is wrong to follow it
: Some layers start at zero on purpose (the second matrix of LoRA, the last layer of a residual block): information
  only.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS507", "constant-weight", Severity.INFO, needs="values", yields_to=("PS506",))


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """What capture found among the values."""
    for note in facts.notes("values"):
        yield Undecided(f"{note.path}: {note.text}")
    for record in facts.snapshot.values or ():
        slot = facts.slots[record.path]
        is_matrix = sum(size > 1 for size in slot.shape or ()) > 1
        if record.kind != "constant" or slot.role != "parameter" or not is_matrix:
            continue
        # A norm's weight of several dimensions is no matrix: each element stands for itself.
        if "normalized_shape" not in dict(facts.modules[slot.module].settings):
            yield Problem(
                (record.path,),
                "All elements of {0} are equal: units that start out equal and get equal gradients stay equal.",
                "If that is not intended, as with nn.init.zeros_: nn.init.xavier_uniform_({0}).",
            )
