"""Muon holds parameters that it is not made for.

What it finds
: Embeddings, output heads and weights that are not matrices in an optimizer whose class is called Muon, torch's or
  another. Groups with `use_muon` set to False are ignored, and so are classes that step such weights with Adam
  themselves. The line is the one that builds the optimizer, if it is found in the files that define the model's
  classes.

Why it matters
: Muon makes each update orthogonal, which suits the matrices between hidden layers. Rows of a table are looked up
  one by one, a head's rows are classes, and vectors have no directions to make orthogonal: recipes give all of
  these to AdamW.

Example
```python
import torch
from torch import nn

model = nn.Sequential(nn.Embedding(32, 8), nn.Linear(8, 8, bias=False))
optimizer = torch.optim.Muon(model.parameters())
```

Instead
```python
import torch
from torch import nn

model = nn.Sequential(nn.Embedding(32, 8), nn.Linear(8, 8, bias=False))
optimizer = [torch.optim.Muon(model[1].parameters()), torch.optim.AdamW(model[0].parameters())]
```

When it is wrong to follow it
: It is information only: it works, and may even do well. A head is recognised by its name, by being as wide as an
  embedding of the model has rows, or by being tied to one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.naming import literal
from paramscope.rules.optimizer._members import class_name, distinct, groups
from paramscope.rules.rule import Blame, Problem, Rule, Undecided
from paramscope.snapshot import GroupRecord, Membership, OptimizerRecord

RULE = Rule("PS415", "unsuited-optimizer", Severity.INFO, needs="optimizer")

_TABLES = "torch.nn.modules.sparse."
_LINEAR = "torch.nn.modules.linear.Linear"
_TABLE = re.compile(r"(?:^|[._])(?:w[tp]e|(?:pos|tok(?:en)?|cls|type)_?(?:emb|embed\w*|token)|embed\w*|codebook)")
_HEAD = re.compile(r"(?:^|[._])(?:lm_head|head|classifier|unembed\w*|fc_out|out_head|output_layer|logits|to_logits)$")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Members of such optimizers by what they are."""
    members = groups(facts)
    held = {at for at, (optimizer, group) in members.items() if _is_muon(optimizer, group)}
    if not held:
        return
    rows = _rows(facts)
    kinds = [kind for kind in facts.slot_kinds if kind.is_trainable and not held.isdisjoint(kind.groups)]
    kind_of = {slot: kind for kind in kinds for slot in kind.slots}
    for slot, further in distinct(facts, kinds):
        kind = kind_of[slot]
        what = _unsuited(facts, kind, slot, further, rows)
        if what:
            yield _problem(facts, members, next(at for at in kind.groups if at in held), slot, what)


def _problem(
    facts: Facts,
    members: dict[Membership, tuple[OptimizerRecord, GroupRecord]],
    at: Membership,
    slot: int,
    what: str,
) -> Problem:
    name = literal(class_name(members[at][0]))
    return Problem(
        tuple(facts.paths([slot])),
        f"{name} holds {{0}}, {what}: it makes each update orthogonal, which is meant for matrices of hidden layers.",
        "Hand embeddings, heads and vectors to another optimizer, such as torch.optim.AdamW.",
        blame=Blame.optimizer(at.optimizer),
        alike=(at.optimizer, what),
    )


def _is_muon(optimizer: OptimizerRecord, group: GroupRecord) -> bool:
    names = (class_name(optimizer), *(base.rpartition(".")[2] for base in optimizer.bases))
    if not any("muon" in name.lower() for name in names):
        return False
    options = dict(group.options)
    if "use_muon" in options:
        return options["use_muon"] is True
    keys = (*options, *dict(optimizer.defaults or ()))
    return not any("adam" in key.lower() or "fallback" in key.lower() for key in keys)


def _rows(facts: Facts) -> set[int]:
    """How many rows the model's embeddings have."""
    shapes = (
        kind.spec.shape
        for kind in facts.slot_kinds
        if _layer(kind).startswith(_TABLES) and kind.name == "weight" and kind.spec is not None
    )
    return {shape[0] for shape in shapes if shape}


def _unsuited(facts: Facts, kind: SlotKind, slot: int, further: tuple[int, ...], rows: set[int]) -> str:
    """What a member is that Muon is not made for; empty for a hidden layer's weight."""
    if kind.spec is None or kind.spec.shape is None:
        return ""
    if len(kind.spec.shape) < 2:
        return "which is no matrix"
    owners = [facts.module_of(each) for each in (slot, *further)]
    if any(str(dict(owner.settings).get("layer", "")).startswith(_TABLES) for owner in owners):
        return "an embedding"
    path = facts.slots.path_at(slot).lower()
    is_linear = _layer(kind) == _LINEAR
    if not _layer(kind) and _TABLE.search(path):
        return "an embedding"
    if is_linear and (_HEAD.search(owners[0].path.lower()) or kind.spec.shape[0] in rows - {kind.spec.shape[1]}):
        return "an output head"
    return ""


def _layer(kind: SlotKind) -> str:
    return str(kind.owner.settings.get("layer", ""))
