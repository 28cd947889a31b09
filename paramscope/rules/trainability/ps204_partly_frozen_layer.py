"""Within one layer some parameters are frozen and others are not.

What it finds
: A leaf module of which only some parameters require grad, where at least as many like it are otherwise.

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
: Where one layer is meant to differ: information only. A pattern that most layers of a class follow, as when only
  biases are tuned, is no finding.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS204", "partly-frozen-layer", Severity.INFO)

_LISTS = ("torch.nn.modules.container.ParameterList", "torch.nn.modules.container.ParameterDict")

Pattern = tuple[tuple[str, bool], ...]
"""(name, whether it trains) of each parameter of a layer."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Leaf modules with parameters of both sorts, against the others of their class."""
    patterns = _patterns(facts)
    alike: dict[tuple[str, tuple[str, ...]], dict[Pattern, list[int]]] = {}
    for (type, module), held in patterns.items():
        pattern = tuple(held)
        names = tuple(name for name, _ in pattern)
        alike.setdefault((type, names), {}).setdefault(pattern, []).append(module)
    for (type, _), found in alike.items():
        total = sum(map(len, found.values()))
        for pattern, modules in found.items():
            frozen = [name for name, is_trained in pattern if not is_trained]
            trained = [name for name, is_trained in pattern if is_trained]
            # What most layers of a class have in common is a plan, not an accident.
            if not frozen or not trained or 2 * len(modules) > total:
                continue
            for module in modules:
                yield Problem(
                    (facts.modules.path_at(module),),
                    f"{{0}} is partly frozen ({', '.join(frozen)}, but not {', '.join(trained)}), unlike others of "
                    "its class.",
                    "If that is left over, call .requires_grad_(True) on {0}, or do the same to all layers like it.",
                    blame=None,
                    alike=(type, pattern),
                )


def _patterns(facts: Facts) -> dict[tuple[str, int], list[tuple[str, bool]]]:
    """By class and module, what is trained, for the leaf modules of classes of which some instance is partly
    frozen."""
    modules = facts.snapshot.slot_columns.modules
    kinds = [
        kind
        for kind in facts.slot_kinds
        if (kind.is_trainable or kind.is_frozen) and kind.spec is not None and kind.spec.is_differentiable
    ]
    with_trained = {modules[slot] for kind in kinds if kind.is_trainable for slot in kind.slots}
    partly = {
        kind.owner.type
        for kind in kinds
        if kind.is_frozen and any(modules[slot] in with_trained for slot in kind.slots)
    }
    found: dict[tuple[str, int], list[tuple[str, bool]]] = {}
    for kind in sorted(kinds, key=lambda each: each.name):
        type = kind.owner.type
        if type in partly and not facts.is_a(type, *_LISTS):
            for slot in kind.slots:
                module = modules[slot]
                if module not in facts.children:
                    found.setdefault((type, module), []).append((kind.name, kind.is_trainable))
    return found
