"""An optimizer steps another root than the one whose name it has.

What it finds
: Of several roots and several optimizers with the same names, an optimizer that holds nothing of the root that is
  called as it is, and nothing but parameters of another one.

Why it matters
: The generator's loss is computed, and the critic is stepped by it: each moves to help the other, and nothing
  raises. All parameters are in some optimizer, get gradients and change.

Example
```python
import torch
from torch import nn

generator, critic = nn.Linear(2, 4), nn.Linear(4, 1)
model = {"generator": generator, "critic": critic}
optimizer = {
    "generator": torch.optim.Adam(critic.parameters(), lr=1e-4),
    "critic": torch.optim.Adam(generator.parameters(), lr=4e-4),
}
```

Instead
```python
import torch
from torch import nn

generator, critic = nn.Linear(2, 4), nn.Linear(4, 1)
model = {"generator": generator, "critic": critic}
optimizer = {
    "generator": torch.optim.Adam(generator.parameters(), lr=1e-4),
    "critic": torch.optim.Adam(critic.parameters(), lr=4e-4),
}
```

When it is wrong to follow it
: Where the names of roots and optimizers are the same by chance.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal
from paramscope.rules.rule import Blame, Problem, Rule, Undecided
from paramscope.snapshot.path import join

RULE = Rule("PS416", "optimizer-of-another-root", Severity.WARNING, needs="optimizer")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Optimizers with the name of a root, and the slots of another."""
    roots = facts.snapshot.roots
    if len(roots) < 2:
        return
    tensors, paths = facts.snapshot.slot_columns.tensors, list(facts.slots)
    of_root = {
        root: {tensors[slot] for slot, path in enumerate(paths) if path.startswith(join(root, ""))} for root in roots
    }
    for optimizer in facts.optimizers:
        held = {tensors[slot] for group in optimizer.groups for slot in facts.slots.positions(group.slots)}
        others = {root for root in roots if not of_root[root].isdisjoint(held)}
        if optimizer.name in roots and len(others) == 1 and optimizer.name not in others:
            (other,) = others
            name = literal(optimizer.name)
            yield Problem(
                (other, optimizer.name),
                f"The optimizer {name} steps {{0}}, and nothing of {{1}}.",
                "Give it the parameters of {1}, {1}.parameters(); or hand it over by the name of what it steps.",
                blame=Blame.optimizer(optimizer.name),
                alike=optimizer.name,
            )
