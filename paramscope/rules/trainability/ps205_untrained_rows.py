"""An Embedding has a row that is never trained.

What it finds
: An Embedding or EmbeddingBag that trains and was built with `padding_idx`, so that one row of its weight receives no
  gradient.

Why it matters
: The row keeps whatever it holds: zeros at first, and later whatever is written there, such as pre-trained vectors.
  `totals.effective_trainable` leaves it out.

Example
```python
from torch import nn

model = nn.Sequential(nn.Embedding(10, 4, padding_idx=0), nn.Linear(4, 2))
```

Instead
```python
from torch import nn

model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2))
```

When it is wrong to follow it
: Where that index stands for padding, this is what you want. It matters if the index belongs to a real token, or if
  the row was filled with values that were meant to be trained.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import text
from paramscope.analysis.untrained_rows import untrained_rows
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.optimizer._members import number_of
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS205", "untrained-rows", Severity.INFO)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Padding rows of weights that train, and that stand nowhere else."""
    for found in untrained_rows(facts.snapshot):
        slot = facts.slots.at(found.slot)
        decayed = [
            f"{optimizer.name}.groups[{group.index}]"
            for optimizer in facts.optimizers
            for group in optimizer.groups
            if (number_of(group, "weight_decay") or 0) > 0 and (optimizer.name, group.index) in slot.groups
        ]
        message = (
            f"Row {found.row} of {{0}} is the Embedding's padding_idx and receives no gradient from it: "
            f"{text.count(found.numel)} of its {text.count(slot.numel or 0)} elements are never trained."
        )
        if decayed:
            message += " The optimizer's weight_decay shrinks that row all the same."
        yield Problem(
            (slot.path,),
            message,
            "Leave padding_idx out if that row is to be trained"
            + (", or put {0} into a group with weight_decay=0 if it is to stay as it is." if decayed else "."),
        )
