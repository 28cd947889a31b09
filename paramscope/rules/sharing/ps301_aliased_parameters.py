"""Two different Parameters occupy exactly the same memory.

What it finds
: Distinct Parameter objects over exactly the same bytes of one storage, such as `nn.Parameter(x)` creates each time
  it is called on the same tensor, or on the `.data` of another Parameter.

Why it matters
: PyTorch treats them as two parameters: each gets a gradient of its own, the gradients are not added up, and an
  optimizer steps the memory once for each. `.to()` separates them, and from then on they diverge.

Example
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10)
        self.head.weight = nn.Parameter(self.embed.weight.data)  # a second Parameter

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
        self.head.weight = self.embed.weight  # the same Parameter

model = Net()
```

When it is wrong to follow it
: Where all of them are frozen, in one model or in two that share what is not trained, it is information only. Where
  the shapes or strides differ, as with a transpose, one cannot replace the other: keep one Parameter, and transpose
  it in `forward`, `F.linear(x, self.encoder.weight.t())`. On the meta device a tie that the model declares is not
  reported, since `tie_weights()` restores it on loading.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.sharing._causes import by_cause
from paramscope.rules.sharing._forms import advice, capital
from paramscope.rules.sharing._memory import (
    Group,
    aliased,
    by_storage,
    is_on_meta,
    is_quiet,
    is_yet_to_be_tied,
    problem,
)

RULE = Rule("PS301", "aliased-parameters", Severity.ERROR, yields_to=("PS306",))

_STEPPED = "their gradients are not added up, an optimizer steps that memory once for each, and .to() parts them."
_ON_META = "once they are given memory they are apart, and nothing keeps them equal."
_FROZEN = "all of them are frozen, so that no step changes that memory, and .to() gives each memory of its own."


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Groups of parameters over the same bytes."""
    yield from by_cause(facts, _problems(facts))


def _problems(facts: Facts) -> Iterator[Problem]:
    for whole in aliased(facts):
        for group in by_storage(facts, whole):
            if not is_yet_to_be_tied(facts, group):
                yield _problem(facts, group)


def _problem(facts: Facts, group: Group) -> Problem:
    paths = group.paths(facts)
    is_frozen = all(is_quiet(facts, slots) for slots in group.tensors)
    then = _FROZEN if is_frozen else _ON_META if is_on_meta(facts, group) else _STEPPED
    said = advice(facts, [slots[0] for slots in group.tensors])
    instead = f"{capital(said.one)}; or, if they are to differ, give one a copy: {said.copy}."
    return problem(
        facts,
        paths,
        f"{group.names} are different Parameters over exactly the same memory: {then}",
        f"; if they are to stay one, {said.one}." if is_frozen else instead,
        is_frozen=is_frozen,
        alike=said.is_view,
    )
