"""Within one layer some parameters are frozen and others are not.

What it finds
: A leaf module of which only some parameters require grad, where modules like it are otherwise.

Why it matters
: Such a pattern that only some of like layers have is often left over from an experiment.

Example
```python
from torch import nn

model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
model[0].bias.requires_grad = False
```

Instead
```python
from torch import nn

model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
for layer in model:
    layer.bias.requires_grad = False
```

When it is wrong to follow it
: Where one layer is meant to differ: information only.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS204", "partly-frozen-layer", Severity.INFO)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Leaf modules by class: partly frozen ones among others that are not frozen in the same way."""
    states: dict[int, set[bool]] = {}
    for kind in facts.slot_kinds:
        if kind.is_trainable or kind.is_frozen:
            states.setdefault(kind.owner.number, set()).add(kind.is_trainable)
    suspects = {number for number, found in states.items() if len(found) == 2}
    if not suspects:
        return
    patterns: dict[str, dict[tuple[tuple[str, bool], ...], list[int]]] = {}
    types = {owner.type for owner, _ in facts.module_kinds if owner.number in suspects}
    for owner, modules in facts.module_kinds:
        if owner.type not in types or not owner.is_registered:
            continue
        for module in modules:
            if module not in facts.children:
                slots = [slot for slot in facts.slots_of(module) if slot.trainable or slot.frozen]
                pattern = tuple((slot.name, slot.trainable) for slot in slots)
                patterns.setdefault(owner.type, {}).setdefault(pattern, []).append(module)
    for of_type in patterns.values():
        if len(of_type) < 2:
            continue
        for pattern, modules in of_type.items():
            trained = [name for name, is_trained in pattern if is_trained]
            frozen = [name for name, is_trained in pattern if not is_trained]
            if trained and frozen:
                for module in modules:
                    yield Problem(
                        (facts.modules.path_at(module),),
                        f"{{0}} is partly frozen ({', '.join(frozen)}, but not {', '.join(trained)}), unlike others "
                        "of its class.",
                        "If it is left over: {0}.requires_grad_(True), or the same for all layers like it.",
                        blame=None,
                    )
