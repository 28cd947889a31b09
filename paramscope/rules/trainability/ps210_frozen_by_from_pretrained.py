"""An Embedding's weight is frozen, and all around it trains.

What it finds
: An Embedding whose weight is the only frozen parameter among its siblings.

Why it matters
: `nn.Embedding.from_pretrained` freezes by default, also a tensor that requires grad: the vectors are never tuned.

Example
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding.from_pretrained(torch.rand(10, 4))
        self.head = nn.Linear(4, 2)

model = Net()
```

Instead
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding.from_pretrained(torch.rand(10, 4), freeze=False)
        self.head = nn.Linear(4, 2)

model = Net()
```

When it is wrong to follow it
: Pre-trained vectors are often meant to stay as they are: information only.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS210", "frozen-by-from-pretrained", Severity.INFO)

_EMBEDDINGS = ("torch.nn.modules.sparse.Embedding", "torch.nn.modules.sparse.EmbeddingBag")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Frozen weights of embeddings against the other parameters below the same module."""
    for kind in facts.slot_kinds:
        if kind.name != "weight" or not kind.is_frozen or kind.owner.settings.get("layer") not in _EMBEDDINGS:
            continue
        for slot in kind.slots:
            module = facts.snapshot.slot_columns.modules[slot]
            parent = facts.parents[module]
            if parent >= 0 and _all_others_train(facts, parent, slot):
                yield Problem(
                    (facts.slots.path_at(slot),),
                    "{0} is the only frozen parameter here: Embedding.from_pretrained freezes by default, whatever "
                    "its tensor requires.",
                    "If it is to be tuned: nn.Embedding.from_pretrained(vectors, freeze=False).",
                )


def _all_others_train(facts: Facts, parent: int, own: int) -> bool:
    is_any = False
    path = facts.slots.path_at(own)
    for module in facts.subtree(parent):
        for slot in facts.slots_of(module):
            if slot.frozen and slot.path != path:
                return False
            is_any = is_any or slot.trainable
    return is_any
