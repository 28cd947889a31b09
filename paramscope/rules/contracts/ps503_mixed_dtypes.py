"""The parameters of one layer differ in dtype.

What it finds
: One torch.nn layer with floating-point parameters of several dtypes.

Why it matters
: Its forward raises, or promotes to the wider dtype in silence; and an optimizer keeps state in both.

Example
```python
import torch
from torch import nn

model = nn.Linear(4, 4)
model.weight.data = model.weight.data.to(torch.bfloat16)
```

Instead
```python
import torch
from torch import nn

model = nn.Linear(4, 4).to(torch.bfloat16)
```

When it is wrong to follow it
: A layer that computes in one dtype and keeps a bias in another on purpose; declare it.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS503", "mixed-dtypes", Severity.WARNING)

_FLOATING = frozenset({"float16", "bfloat16", "float32", "float64"})
"""Others, such as float8 and what quantized layers pack, stand beside wider ones by design."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Dtypes of the parameters of each layer."""
    dtypes: dict[int, set[str]] = {}
    for kind in facts.slot_kinds:
        spec = kind.spec
        if spec is not None and kind.role == "parameter" and kind.is_registered and "layer" in kind.owner.settings:
            dtypes.setdefault(kind.owner.number, set()).add(spec.dtype or "")
    suspects = {number for number, found in dtypes.items() if len(found & _FLOATING) > 1}
    for owner, modules in facts.module_kinds:
        if owner.number not in suspects:
            continue
        for module in modules:
            slots = [slot for slot in facts.slots_of(module) if slot.role == "parameter" and slot.dtype in _FLOATING]
            found = sorted({str(slot.dtype) for slot in slots})
            if len(found) > 1:
                layer = str(owner.settings["layer"]).rpartition(".")[2]
                yield Problem(
                    (facts.modules.path_at(module), *(slot.path for slot in slots)),
                    f"{{0}}, a {layer}, holds parameters in {' and '.join(found)}: its forward raises, or "
                    "promotes to the wider one.",
                    f"Use one dtype for the layer: {{0}}.to(torch.{found[0]}).",
                    blame=slots[0].path,
                )
