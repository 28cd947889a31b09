"""The tensors of one layer lie on different devices.

What it finds
: A module without children whose parameters and buffers are on several devices, meta aside.

Why it matters
: Its forward raises: expected all tensors to be on the same device.

Example
```python
import torch
from torch import nn

model = nn.BatchNorm1d(4)
fake = torch._subclasses.FakeTensorMode()
with fake:
    model.running_mean = torch.zeros(4, device="cuda")
```

Instead
```python
from torch import nn

model = nn.BatchNorm1d(4)
```

When it is wrong to follow it
: Where a module with a forward of its own moves its parts as it goes; declare it.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import SlotRecord

RULE = Rule("PS502", "mixed-devices", Severity.ERROR)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Devices of the registered tensors of each leaf module."""
    devices: dict[str, set[str]] = {}
    for kind in facts.slot_kinds:
        if kind.is_registered and kind.spec is not None and kind.spec.device not in (None, "meta"):
            devices.setdefault(kind.owner.type, set()).add(str(kind.spec.device))
    suspects = {type for type, found in devices.items() if len(found) > 1}
    for owner, modules in facts.module_kinds if suspects else ():
        if owner.type not in suspects or not owner.is_registered:
            continue
        for module in modules:
            if module in facts.children:
                continue
            slots = [slot for slot in facts.slots_of(module) if _takes_part(slot)]
            found = sorted({_device(slot, slots) for slot in slots})
            if len(found) > 1:
                yield Problem(
                    (facts.modules.path_at(module), *(slot.path for slot in slots)),
                    f"{{0}} {{0|holds|hold}} tensors on {' and '.join(found)}: the forward raises, since one "
                    "operation takes tensors of one device.",
                    f"Move all of {{0}}: .to('{found[-1]}').",
                    blame=slots[0].path,
                )


def _takes_part(slot: SlotRecord) -> bool:
    """Whether a slot has to lie where the others do: a scalar in main memory may meet any device."""
    is_scalar = slot.shape == () and slot.device == "cpu"
    return slot.registered and slot.device not in (None, "meta") and not is_scalar


def _device(slot: SlotRecord, others: list[SlotRecord]) -> str:
    """The device of a slot; `cuda` alone is any of them."""
    device = str(slot.device)
    if ":" in device:
        return device
    return next((str(other.device) for other in others if str(other.device).startswith(f"{device}:")), device)
