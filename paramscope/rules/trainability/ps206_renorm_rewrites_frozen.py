"""A frozen Embedding has max_norm.

What it finds
: An Embedding or EmbeddingBag with `max_norm` whose weight does not require grad.

Why it matters
: Its forward rewrites, in place, every row that it looks up and finds longer than `max_norm`: frozen vectors change
  all the same, even in evaluation.

Example
```python
from torch import nn

model = nn.Embedding(10, 4, max_norm=1.0)
model.weight.requires_grad = False
```

Instead
```python
from torch import nn

model = nn.Embedding(10, 4)
model.weight.requires_grad = False
```

When it is wrong to follow it
: Where no row is longer than `max_norm` to begin with; declare it.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import text
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS206", "renorm-rewrites-frozen", Severity.WARNING)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Frozen weights of layers with max_norm."""
    for kind in facts.slot_kinds:
        bound = kind.owner.settings.get("max_norm")
        if kind.name == "weight" and kind.is_frozen and bound is not None:
            for slot in kind.slots:
                yield Problem(
                    (facts.slots.path_at(slot),),
                    f"{{0}} {{0|is|are}} frozen, yet {{0|its layer has|their layers have}} "
                    f"max_norm={text.option(bound)}: each forward rewrites, "
                    "in place, the rows that are longer.",
                    "Build it without max_norm, or renormalise the vectors once before they are frozen.",
                )
