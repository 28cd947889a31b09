"""A parameter is in the optimizers several times.

What it finds
: A parameter that is twice in one param group or in several groups of one optimizer; as a warning, one that several
  optimizers hold. The line is the one that builds the optimizer, if it is found in the files that define the model's
  classes.

Why it matters
: The optimizer goes through its groups: what is in there twice is stepped twice, with twice the learning rate and a
  momentum that is updated twice.

Example
```python
import torch
from torch import nn

model = nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
optimizer.param_groups[0]["params"].append(model.weight)
```

Instead
```python
import torch
from torch import nn

model = nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
```

When it is wrong to follow it
: Optimizers that take turns may well share parameters, and so may one that wraps another: that is only a warning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from paramscope import text
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal
from paramscope.rules.optimizer._lines import builder_of
from paramscope.rules.optimizer._members import distinct, foreign_members
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import Membership

RULE = Rule("PS404", "parameter-in-several-groups", Severity.ERROR, needs="optimizer")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Slots and foreign members that stand in more than one place."""
    several: dict[tuple[Membership, ...], list[tuple[str, ...]]] = {}
    for memberships in dict.fromkeys(kind.groups for kind in facts.slot_kinds if len(kind.groups) > 1):
        kinds = (kind for kind in facts.slot_kinds if kind.groups == memberships)
        several[memberships] = [tuple(facts.paths([slot, *further])) for slot, further in distinct(facts, kinds)]
    for foreign in foreign_members(facts):
        if len(foreign.memberships) > 1:
            several.setdefault(foreign.memberships, []).append(foreign.places)
    for memberships, found in several.items():
        message, help_text, severity = _told(memberships)
        for paths in found:
            yield Problem(paths, message, help_text, severity, blame=builder_of(memberships), alike=memberships)


def _told(memberships: tuple[Membership, ...]) -> tuple[str, str, Severity | None]:
    """(message, help, severity) for a tensor that stands in these places."""
    names = list(dict.fromkeys(place.optimizer for place in memberships))
    for name in names:
        counts = Counter(place.group for place in memberships if place.optimizer == name)
        times = sum(counts.values())
        if times > 1:
            indices = sorted(counts)
            where = f"group{'s' if len(indices) > 1 else ''} {text.ranges(indices)}"
            often = "twice" if times == 2 else f"{times} times"
            return (
                f"Optimizer {literal(name)} holds {{0}} {often}, in {where}: each step changes it {often}.",
                "Hand each parameter over once: list(dict.fromkeys(parameters)) keeps the first of each.",
                None,
            )
    every = text.listed(list(map(literal, names)))
    both = "both" if len(names) == 2 else "all"
    return (
        f"Optimizers {every} {both} hold {{0}}: each of them may step it, with a state of its own.",
        "If they do not take turns on purpose, leave it to one of them.",
        Severity.WARNING,
    )
