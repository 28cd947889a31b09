"""Some parameters are on the meta device, while others hold values.

What it finds
: Registered parameters on `meta` in a model of which other parameters lie in memory.

Why it matters
: A meta tensor has no values: the first forward through it fails, or gives tensors without values, and a checkpoint
  that was loaded without it is not all there.

Example
```python
from torch import nn

model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta"))
```

Instead
```python
from torch import nn

model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta"))
model[1].to_empty(device="cpu")
model[1].reset_parameters()
```

When it is wrong to follow it
: Offloading hooks keep weights on meta between uses, and buffers on meta may be filled later: information only.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS504", "left-on-meta", Severity.ERROR)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Registered slots on meta beside registered parameters that are not."""
    on_meta: list[SlotKind] = []
    is_any_real = False
    for kind in facts.slot_kinds:
        if kind.spec is None or not kind.is_registered:
            continue
        if kind.spec.device == "meta":
            on_meta.append(kind)
        elif kind.role == "parameter":
            is_any_real = True
    if not on_meta or not is_any_real:
        return
    offloaded = {mark.path for mark in facts.marks("offloaded")}
    for kind in on_meta:
        for slot in kind.slots:
            path = facts.slots.path_at(slot)
            is_expected = kind.role != "parameter" or _is_below(path, offloaded)
            yield Problem(
                (path,),
                "{0} is on the meta device, where it has no values, while other parameters are loaded: a forward "
                "through it fails.",
                "Load it, or give it memory: module.to_empty(device=…), then module.reset_parameters().",
                Severity.INFO if is_expected else None,
                blame=None,
            )


def _is_below(path: str, modules: set[str]) -> bool:
    if not modules:
        return False
    while path:
        path = path.rpartition(".")[0]
        if path in modules:
            return True
    return False
