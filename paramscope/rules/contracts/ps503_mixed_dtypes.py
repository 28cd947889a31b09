"""The parameters of one layer differ in dtype.

What it finds
: One torch.nn layer with floating-point parameters of several dtypes.

Why it matters
: Its forward raises, or silently promotes to the wider dtype; and an optimizer keeps state in both.

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
: Where a layer computes in one dtype and keeps a bias in another on purpose; declare it. A subclass with a forward of
  its own is left alone, as are float8 and what quantized layers pack.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import SlotRecord

RULE = Rule("PS503", "mixed-dtypes", Severity.WARNING)

_FLOATING = frozenset({"float16", "bfloat16", "float32", "float64"})
"""Others, such as float8 and what quantized layers pack, stand beside wider ones by design."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Dtypes of the parameters of each layer."""
    dtypes: dict[str, set[str]] = {}
    for kind in facts.slot_kinds:
        spec = kind.spec
        if spec is not None and kind.role == "parameter" and kind.is_registered and kind.owner.settings:
            dtypes.setdefault(kind.owner.type, set()).add(spec.dtype or "")
    suspects = {type for type, found in dtypes.items() if len(found & _FLOATING) > 1}
    for owner, modules in facts.module_kinds if suspects else ():
        if owner.type not in suspects or not owner.settings or not owner.is_registered:
            continue
        for module in modules:
            path = facts.modules.path_at(module)
            slots = [slot for slot in facts.slots_of(module) if _is_plain(slot)]
            found = list(dict.fromkeys(str(slot.dtype) for slot in slots))
            if len(found) > 1 and not facts.has_own_forward(owner.type, path):
                layer = str(owner.settings["layer"]).rpartition(".")[2]
                yield Problem(
                    (path, *(slot.path for slot in slots)),
                    f"{{0}}, {{0|a|each a}} {layer}, {{0|holds|hold}} parameters in {' and '.join(found)}: "
                    "the forward raises, or promotes to the wider one.",
                    f"Use one dtype for all of {{0}}: .to(torch.{found[0]}).",
                    blame=_odd(slots).path,
                )


def _is_plain(slot: SlotRecord) -> bool:
    """Whether a slot holds its own floating-point elements."""
    return slot.role == "parameter" and slot.dtype in _FLOATING and not slot.parts


def _odd(slots: list[SlotRecord]) -> SlotRecord:
    """The first one whose dtype is the rarest."""
    dtypes = [slot.dtype for slot in slots]
    return min(slots, key=lambda slot: dtypes.count(slot.dtype))
