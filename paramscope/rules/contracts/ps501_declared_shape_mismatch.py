"""A layer's parameter does not have the shape that the layer declares.

What it finds
: A torch.nn layer whose parameter does not have the shape that the layer's own settings (`in_features`,
  `num_embeddings`, `normalized_shape`, …) give to it.

Why it matters
: The layer says one thing and computes another: the forward fails, or broadcasts to something nobody intended, and
  loading the checkpoint into a layer built from these settings fails with a size mismatch.

Example
```python
from torch import nn
import torch

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 5)
        self.lin.weight = nn.Parameter(torch.rand(3, 5))  # Linear stores (out_features, in_features)

model = Net()
```

Instead
```python
from torch import nn
import torch

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 5)
        self.lin.weight = nn.Parameter(torch.rand(5, 3))

model = Net()
```

When it is wrong to follow it
: A subclass with a forward of its own may use its weight as it likes: there it is information only. A weight tied to
  that of another layer, which declares it correctly, is a warning; information where the forward never reads the
  sizes that differ (`nn.Linear` multiplies with whatever weight it has) and everything the layer holds fits together.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from paramscope import text
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.naming import literal
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot.declared import is_unread

RULE = Rule("PS501", "declared-shape-mismatch", Severity.ERROR)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Slots of layers against what the layers' settings say of them."""
    for kind in facts.slot_kinds:
        if kind.spec is None or kind.spec.shape is None or not kind.owner.settings or kind.role == "attribute":
            continue
        declared = facts.snapshot.declared_shape(facts.snapshot.slot_columns.modules[kind.slots[0]], kind.name)
        if declared is None or declared == kind.spec.shape:
            continue
        for slot in kind.slots:
            yield from _problem(facts, kind, slot, declared)


def _problem(facts: Facts, kind: SlotKind, slot: int, declared: tuple[int, ...]) -> Iterator[Problem]:
    path = facts.slots.path_at(slot)
    found = kind.spec.shape if kind.spec is not None else None
    oddities = facts.oddities_at.get(path, ())
    if any(oddity.kind in ("recomputed", "quantized") for oddity in oddities) or facts.slots.at(slot).parts:
        return
    module = facts.module_of(slot)
    layer = _layer(facts, kind)
    settings = ", ".join(f"{name}={value}" for name, value in kind.owner.settings.items() if name in _TOLD)
    says = (
        f"{{0}} {{0|is|are}} {text.shape(found)}, but {{0|its layer|their layers}}, {layer}({settings}), "
        f"{{0|declares|declare}} {text.shape(declared)}"
    )
    change = f"Give it the declared shape, nn.Parameter(torch.empty{_sizes(declared)}), or change the layer."
    over = facts.slots_of_tensor[facts.snapshot.slot_columns.tensors[slot]]
    tied = next(filter(partial(_fits, facts), over), None)
    if facts.has_own_forward(module.type, module.path):
        end = "a forward that is not torch's own may use {0|it|them} so"
        yield Problem((path,), f"{says}: {end}.", change, Severity.INFO)
    elif tied is not None and is_unread(kind.owner.settings, _shapes(facts, slot)):
        yield Problem(
            (path,),
            f"{says}. {{0|It is|They are}} tied to {literal(facts.slots.path_at(tied))}, which declares that shape, "
            "and forward works, as it never reads the layer's own sizes; code that does gets the wrong ones.",
            f"Build the layer with the sizes of what it is tied to: {text.shape(found)}.",
            Severity.INFO,
        )
    else:
        severity = None if tied is None else Severity.WARNING
        yield Problem((path,), f"{says}: forward fails there or computes something else.", change, severity)


def _layer(facts: Facts, kind: SlotKind) -> str:
    """Own name of the torch layer that declares the shape: the first one in the MRO with a public name."""
    of = str(kind.owner.settings.get("layer", kind.owner.type))
    own = facts.snapshot.classes.get(kind.owner.type)
    line = () if own is None else (own.type, *own.bases)
    public = (each for each in line if each.startswith("torch.nn.") and not each.rpartition(".")[2].startswith("_"))
    name = of.rpartition(".")[2]
    return next(public, of).rpartition(".")[2] if name.startswith("_") else name


def _shapes(facts: Facts, slot: int) -> dict[str, tuple[int, ...]]:
    """What else the layer of a slot holds, by name."""
    module = facts.snapshot.slot_columns.modules[slot]
    return {each.name: each.shape for each in facts.slots_of(module) if each.shape and each.role != "attribute"}


_TOLD = frozenset(
    {
        *("in_features", "out_features", "in_channels", "out_channels", "groups", "num_embeddings", "embedding_dim"),
        *(
            "normalized_shape",
            "num_features",
            "num_channels",
            "input_size",
            "hidden_size",
            "embed_dim",
            "kdim",
            "vdim",
        ),
        *("num_parameters", "in1_features", "in2_features", "kernel_size"),
    }
)
"""Settings that shapes are made of."""


def _fits(facts: Facts, slot: int) -> bool:
    record = facts.slots.at(slot)
    return record.declared is not None and record.declared == record.shape


def _sizes(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
