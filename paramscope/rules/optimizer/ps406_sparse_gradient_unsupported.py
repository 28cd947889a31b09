"""An optimizer cannot handle the gradients of a sparse embedding.

What it finds
: The weight of an Embedding or EmbeddingBag with `sparse=True` in a torch optimizer that rejects sparse gradients, or
  that accepts them but not together with its weight decay; and SparseAdam over weights whose gradients are dense.

Why it matters
: The first step raises a RuntimeError.

Example
```python
import torch
from torch import nn

model = nn.Embedding(1000, 8, sparse=True)
optimizer = torch.optim.AdamW(model.parameters())
```

Instead
```python
import torch
from torch import nn

model = nn.Embedding(1000, 8, sparse=True)
optimizer = torch.optim.SparseAdam(model.parameters())
```

When it is wrong to follow it
: A weight that is also used densely, as when the head is tied to it, gets a dense gradient and is not reported. What
  optimizers other than torch's do is not known, and the rule is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.optimizer._lines import builder_of
from paramscope.rules.optimizer._members import class_name, distinct, groups, is_set, number_of, torch_class
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import GroupRecord, Membership
from paramscope.snapshot.declared import makes_sparse_gradients

RULE = Rule("PS406", "sparse-gradient-unsupported", Severity.ERROR, needs="optimizer")

# Tried with torch 2.13.
_REJECT = frozenset(
    {"Adam", "AdamW", "Adadelta", "Adafactor", "Adamax", "ASGD", "Muon", "NAdam", "RAdam", "RMSprop", "Rprop"}
)
_ACCEPT = frozenset({"SGD", "Adagrad", "SparseAdam", "LBFGS"})


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Sparse embeddings in optimizers that take none, and what is dense in the one that takes nothing else."""
    held: dict[Membership, list[SlotKind]] = {}
    for kind in facts.slot_kinds:
        if kind.is_trainable:
            for at in dict.fromkeys(kind.groups):
                held.setdefault(at, []).append(kind)
    for at, kinds in held.items():
        sparse = [kind for kind in kinds if makes_sparse_gradients(kind.name, kind.owner.settings)]
        if sparse:
            yield from _sparse(facts, at, sparse)
        optimizer, _ = groups(facts)[at]
        if torch_class(optimizer) == "SparseAdam":
            yield from _dense(facts, at, [kind for kind in kinds if kind not in sparse])


def _is_used_densely(facts: Facts, slot: int) -> bool:
    """Whether another layer holds the tensor as well, so that its gradients add up to a dense one."""
    tensor = facts.snapshot.slot_columns.tensors[slot]
    slots = map(facts.slots.at, facts.slots_of_tensor[tensor] if tensor in facts.tied else ())
    return not all(makes_sparse_gradients(each.name, dict(facts.modules[each.module].settings)) for each in slots)


def _sparse(facts: Facts, at: Membership, kinds: list[SlotKind]) -> Iterator[Problem | Undecided]:
    """Embeddings in one group whose gradients are sparse."""
    slots = [slot for slot, _ in distinct(facts, kinds) if not _is_used_densely(facts, slot)]
    optimizer, group = groups(facts)[at]
    known = torch_class(optimizer)
    if slots and known not in _REJECT | _ACCEPT:
        yield Undecided(f"whether {class_name(optimizer)} takes sparse gradients is not known")
        return
    why = _why_not(known or "", group)
    for slot in slots if why else ():
        yield Problem(
            (facts.slots.path_at(slot),),
            f"Gradients of {{0}} are sparse (sparse=True), and {class_name(optimizer)} {why}: its first step raises.",
            "Give it to torch.optim.SparseAdam, or to SGD without weight decay, or build the embedding with "
            "sparse=False.",
            alike=at,
        )


def _why_not(known: str, group: GroupRecord) -> str | None:
    if known in _REJECT:
        return "takes dense ones only"
    if known in ("SGD", "Adagrad"):
        decay = number_of(group, "weight_decay")
        if decay:
            return f"takes none with a weight_decay of {decay:g}"
        if is_set(group, "fused"):
            return "takes none with fused=True"
    return None


def _dense(facts: Facts, at: Membership, kinds: list[SlotKind]) -> Iterator[Problem | Undecided]:
    """What SparseAdam holds beside sparse embeddings."""
    known = []
    for kind in kinds:
        module = facts.module_of(kind.slots[0])
        if "layer" in kind.owner.settings and not facts.has_own_forward(module.type, module.path):
            known.append(kind)
        else:
            yield Undecided(f"whether {facts.slots.path_at(kind.slots[0])} gets sparse gradients is not known")
    for slot, _ in distinct(facts, known):
        yield Problem(
            (facts.slots.path_at(slot),),
            f"Gradients of {{0}} are dense, and {class_name(groups(facts)[at][0])} takes sparse ones only: its first "
            "step raises.",
            "Give it to torch.optim.Adam, and leave to SparseAdam the embeddings with sparse=True.",
            blame=builder_of([at]),
            alike=at,
        )
