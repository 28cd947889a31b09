"""Two different Parameters occupy exactly the same memory.

What it finds
: Parameter objects that are not the same and yet lie over the same bytes of one storage, as `nn.Parameter(x)` makes
  them each time it is called on a tensor, or on the `.data` of another Parameter.

Why it matters
: PyTorch takes them for two parameters: each gets a gradient of its own, which are not added up, and an optimizer
  steps that memory once for each. `.to()` parts them, and from then on they differ.

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
: Where nothing is trained and nothing moved, two names for one memory do no harm; one Parameter does not either.
  On the meta device nothing is said of a tie that the model declares, for `tie_weights()` makes it when it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.sharing._memory import aliased, by_storage, is_on_meta, is_yet_to_be_tied, last_assigned

RULE = Rule("PS301", "aliased-parameters", Severity.ERROR, yields_to=("PS306",))

_STEPPED = "their gradients are not added up, an optimizer steps that memory once for each, and .to() parts them."
_ON_META = "once they are given memory they are apart, and nothing keeps them equal."


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Groups of parameters over the same bytes."""
    for whole in aliased(facts):
        for group in by_storage(facts, whole):
            if is_yet_to_be_tied(facts, group):
                continue
            paths = group.paths(facts)
            then = _ON_META if is_on_meta(facts, group) else _STEPPED
            yield Problem(
                paths,
                f"{group.names} are different Parameters over exactly the same memory: {then}",
                "Make them one Parameter, {1} = {0}; or, if they are to differ, give one a copy: "
                "nn.Parameter({0}.detach().clone()).",
                blame=last_assigned(facts, paths, "alias"),
                cause="alias",
            )
