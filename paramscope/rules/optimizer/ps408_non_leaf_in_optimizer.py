"""An optimizer holds a tensor that was computed from others.

What it finds
: A member of a param group that is not a leaf of the graph but the result of an operation, in an optimizer that was
  not built with `differentiable=True`. The line is the one that builds the optimizer, if it is found in the files
  that define the model's classes.

Why it matters
: Gradients flow through such a tensor to those it was computed from, and end up there. A step changes a result that
  the next forward recomputes, or that the next backward cannot go through a second time.

Example
```python
import torch
from torch import nn

model = nn.Linear(4, 2)
scaled = model.weight * 0.5
scaled.retain_grad()  # without it, torch refuses the tensor
optimizer = torch.optim.SGD([scaled, model.bias], lr=0.1)
```

Instead
```python
import torch
from torch import nn

model = nn.Linear(4, 2)
with torch.no_grad():
    model.weight.mul_(0.5)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
```

When it is wrong to follow it
: Where the steps themselves are differentiated, as in meta-learning, say so with `differentiable=True`.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.optimizer._lines import builder_of
from paramscope.rules.optimizer._members import distinct, foreign_members, groups, is_set
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import Membership

RULE = Rule("PS408", "non-leaf-in-optimizer", Severity.WARNING, needs="optimizer")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Slots and foreign members that autograd computed."""
    kinds = [kind for kind in facts.slot_kinds if kind.groups and not kind.is_leaf and kind.spec is not None]
    for slot, further in distinct(facts, (kind for kind in kinds if not _is_differentiated(facts, kind.groups))):
        yield _problem(tuple(facts.paths([slot, *further])), facts.slots.at(slot).groups)
    for foreign in foreign_members(facts):
        if not foreign.record.is_leaf and not _is_differentiated(facts, foreign.memberships):
            yield _problem(foreign.places, foreign.memberships)


def _is_differentiated(facts: Facts, memberships: tuple[Membership, ...]) -> bool:
    return all(is_set(groups(facts)[at][1], "differentiable") for at in memberships)


def _problem(paths: tuple[str, ...], memberships: tuple[Membership, ...]) -> Problem:
    return Problem(
        paths,
        "An optimizer holds {0}, computed from other tensors: a step changes the result, and what it was made of "
        "stays as it is.",
        "Hand over the parameters that it is computed from, and compute it in forward; or cut it off: "
        "nn.Parameter(….detach().clone()).",
        blame=builder_of(memberships),
        alike="non-leaf",
    )
