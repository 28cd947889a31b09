"""A lazy module does not know its shapes yet.

What it finds
: Modules such as `nn.LazyLinear` that no forward has materialised yet.

Why it matters
: Their parameters have no elements to count, an optimizer cannot step them, and a checkpoint cannot be compared.

Example
```python
from torch import nn

model = nn.Sequential(nn.LazyLinear(4))
```

Instead
```python
import torch
from torch import nn

model = nn.Sequential(nn.LazyLinear(4))
model(torch.zeros(1, 3))  # one forward tells it its shapes
```

When it is wrong to follow it
: Before the first forward this is normal: information only.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS505", "lazy-uninitialized", Severity.INFO)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Registered parameters whose class says that they are uninitialised."""
    modules: dict[int, None] = {}
    for kind in facts.slot_kinds:
        if (
            kind.is_registered
            and kind.spec is not None
            and kind.spec.type.rpartition(".")[2].startswith("Uninitialized")
        ):
            modules.update((facts.snapshot.slot_columns.modules[slot], None) for slot in kind.slots)
    for module in modules:
        yield Problem(
            (facts.modules.path_at(module),),
            "{0} {0|is lazy and has|are lazy and have} not seen an input: how many parameters "
            "{0|it has|they have} is not known.",
            "Run one forward before the optimizer is built: model(example_input).",
        )
