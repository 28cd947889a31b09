"""An Embedding's weight is frozen, while everything around it is trained.

What it finds
: An Embedding whose weight is the only frozen parameter among its siblings, and that nothing but `from_pretrained`
  can have frozen; or that is tied to another slot, and was frozen with it.

Why it matters
: `nn.Embedding.from_pretrained` freezes by default, even a tensor that requires grad: the vectors are never tuned.

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
: Pre-trained vectors are often meant to stay as they are: information only. The base of an adapter, the original of a
  copy that is trained, and what a class freezes in plain sight (`requires_grad_(False)`, `requires_grad = False`,
  `freeze=True`, on it or on what holds it) are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import source
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.places import own_parameters, upwards
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import REGISTERED, REQUIRES_GRAD
from paramscope.snapshot.path import names_below
from paramscope.source.library import is_of_torch, lineage

RULE = Rule("PS210", "frozen-by-from-pretrained", Severity.INFO)

_ORIGINALS = frozenset({"base_layer", "original_module"})
"""What libraries call what stands under an adapter, or beside a copy that is trained in its place."""
_PERHAPS_ORIGINALS = frozenset({"base", "orig", "original", "frozen", "init", "initial", "old", "pretrained"})
_EMBEDDINGS = ("torch.nn.modules.sparse.Embedding", "torch.nn.modules.sparse.EmbeddingBag")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Frozen weights of embeddings against the other parameters around them."""
    if not facts.is_training_something:
        return
    modules = facts.snapshot.slot_columns.modules
    for kind in facts.slot_kinds:
        if kind.spec is None or not kind.spec.is_differentiable:
            continue
        if kind.name != "weight" or not kind.is_frozen or kind.owner.settings.get("layer") not in _EMBEDDINGS:
            continue
        for slot in kind.slots:
            if not _is_alone(facts, modules[slot], facts.snapshot.slot_columns.tensors[slot]):
                continue
            if _is_original(facts, slot) or _is_frozen_in_plain_sight(facts, slot):
                continue
            tied = [each for each in facts.slots_of_tensor[facts.snapshot.slot_columns.tensors[slot]] if each != slot]
            if tied:
                yield Problem(
                    tuple(facts.paths([slot, *tied])),
                    "{0} {0|is|are} frozen, and nothing beside {0|it|them} is: {0|it is|they are} tied to {1}, and "
                    "freezing one freezes both.",
                    "If both are to train: {0}.requires_grad_(True). If one alone is to be frozen, give the other a "
                    "Parameter of its own.",
                )
            else:
                yield Problem(
                    (facts.slots.path_at(slot),),
                    "{0} {0|is|are} frozen, and nothing beside {0|it|them} is: Embedding.from_pretrained "
                    "freezes by default, whatever "
                    "the tensor's requires_grad.",
                    "If it is to be tuned: nn.Embedding.from_pretrained(vectors, freeze=False), or "
                    "{0}.requires_grad_(True).",
                )


def _is_alone(facts: Facts, module: int, tensor: int) -> bool:
    """Whether all other parameters below the nearest module that holds any others are trained."""
    slots, tensors = facts.snapshot.slot_columns, facts.snapshot.tensor_columns
    specs, flags = facts.snapshot.interned.specs, facts.snapshot.module_columns.flags
    for above in facts.snapshot.tree.above(module):
        is_any = False
        for each in facts.subtree(above):
            for slot in own_parameters(facts, each) if flags[each] & REGISTERED else ():
                other = slots.tensors[slot]
                if other == tensor:
                    continue
                if tensors.flags[other] & REQUIRES_GRAD:
                    is_any = True
                elif specs[tensors.specs[other]].is_differentiable:
                    return False
        if is_any:
            return True
    return False


def _is_original(facts: Facts, slot: int) -> bool:
    """Whether an adapter, or a copy that is trained, stands for a table."""
    steps = facts.slots.path_at(slot).split(".")
    if not _ORIGINALS.isdisjoint(steps):
        return True
    parent = facts.parents[facts.snapshot.slot_columns.modules[slot]]
    if parent < 0:
        return False
    start = len(facts.modules.path_at(parent))
    shape = facts.slots.at(slot).shape
    for module in facts.subtree(parent):
        for other in facts.slots_of(module):
            inner = other.path[start:].removeprefix(".").split(".")
            if other.role != "parameter" or not other.requires_grad:
                continue
            if inner[0] == "lora" or any(step.startswith("lora_") for step in inner):
                return True
            if other.shape == shape and not _PERHAPS_ORIGINALS.isdisjoint(steps[-2:]):
                return True
    return False


def _is_frozen_in_plain_sight(facts: Facts, slot: int) -> bool:
    """Whether the owner of a slot, or a module above it, writes that it is frozen."""
    path = facts.slots.path_at(slot)
    for module in map(facts.modules.at, upwards(facts, facts.snapshot.slot_columns.modules[slot])):
        classes = (each for each in lineage(facts.snapshot.classes, module.type) if not is_of_torch(each))
        if any(source.freezing.freezes(each, names_below(path, module.path)) for each in classes):
            return True
    return False
