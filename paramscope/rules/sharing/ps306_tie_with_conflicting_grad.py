"""Two parameters over the same memory disagree on whether they are trained.

What it finds
: Parameters that occupy exactly the same bytes of one storage, of which some require grad and others do not.

Why it matters
: What looks frozen is trained all the same, through the other name; and what looks trained gets no gradient from the
  places where the frozen one is used.

Example
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10)
        self.head.weight = nn.Parameter(self.embed.weight.data, requires_grad=False)

model = Net()
```

Instead
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10)
        self.head.weight = nn.Parameter(self.embed.weight.detach().clone(), requires_grad=False)

model = Net()
```

When it is wrong to follow it
: Where one place should use the weights as they are trained, but give them no gradient, register the Parameter once
  and use `weight.detach()` in `forward`: that says so, and survives `.to()`.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import unbraced
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.sharing._causes import by_cause
from paramscope.rules.sharing._forms import advice, capital, copy_of
from paramscope.rules.sharing._memory import (
    Group,
    aliased,
    by_storage,
    is_trainable,
    is_yet_to_be_tied,
    problem,
)

RULE = Rule("PS306", "tie-with-conflicting-grad", Severity.ERROR)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Groups of parameters over the same bytes, of which some require grad."""
    yield from by_cause(facts, _problems(facts))


def _problems(facts: Facts) -> Iterator[Problem]:
    for whole in aliased(facts):
        for group in by_storage(facts, whole):
            frozen = [slots for slots in group.tensors if not is_trainable(facts, slots)]
            trained = [slots for slots in group.tensors if is_trainable(facts, slots)]
            if not frozen or not trained or is_yet_to_be_tied(facts, group):
                continue
            # One of either kind stands first: the message names these.
            paths = Group((frozen[0], trained[0], *frozen[1:], *trained[1:])).paths(facts)
            said = advice(facts, [trained[0][0], frozen[0][0]])
            copied = unbraced(copy_of(facts, paths[0], frozen=True))
            yield problem(
                facts,
                paths,
                "{0} {0|is|are} frozen, but {0|lies|lie} over the same memory as {1}, which "
                "{1|requires|require} grad: "
                "training one changes the "
                "other.",
                f"{capital(said.one)}, and freeze that or train it; or give the frozen one a copy: {copied}.",
                alike=said.is_view,
            )
