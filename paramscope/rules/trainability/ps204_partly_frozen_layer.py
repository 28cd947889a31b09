"""Within one layer some parameters are frozen and others are not.

What it finds
: A leaf module of which only some parameters require grad, while at least as many similar modules differ from it.

Why it matters
: A pattern that only some of many similar layers have is often left over from an experiment.

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
  biases are tuned, is not reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.places import type_of
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot.path import numberless

RULE = Rule("PS204", "partly-frozen-layer", Severity.INFO)

_LISTS = ("torch.nn.modules.container.ParameterList", "torch.nn.modules.container.ParameterDict")

Pattern = tuple[tuple[str, bool], ...]
"""(name, whether it trains) of each parameter of a layer."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Leaf modules with parameters of both sorts, against the others of their class and place."""
    patterns = {module: tuple(held) for module, held in _patterns(facts).items()}
    for candidates, alike in _alike(facts, patterns):
        counts = Counter(patterns[module] for module in alike)
        for module in candidates:
            pattern = patterns[module]
            frozen = [name for name, is_trained in pattern if not is_trained]
            trained = [name for name, is_trained in pattern if is_trained]
            # What most layers have in common is a plan, not an accident.
            if frozen and trained and 2 * counts[pattern] <= len(alike):
                yield Problem(
                    (facts.modules.path_at(module),),
                    f"{{0}} {{0|is|are}} partly frozen ({', '.join(frozen)}, but not {', '.join(trained)}), "
                    f"unlike others of "
                    "{0|its|their} class.",
                    "If that is left over, call .requires_grad_(True) on {0}, or do the same to all layers like it.",
                    blame=None,
                    alike=(type_of(facts, module), pattern),
                )


def _alike(facts: Facts, patterns: dict[int, Pattern]) -> Iterator[tuple[list[int], list[int]]]:
    """(modules, those to compare them with): of one class, with parameters of the same names, and in the same place
    but for the numbers in their paths; what is alone there is compared with all of its class."""
    by_place: dict[tuple[str, tuple[str, ...], str], list[int]] = {}
    by_class: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for module, pattern in patterns.items():
        key = (type_of(facts, module), tuple(name for name, _ in pattern))
        by_class.setdefault(key, []).append(module)
    irregular = {
        key: modules for key, modules in by_class.items() if len({patterns[module] for module in modules}) > 1
    }
    for key, modules in irregular.items():
        for module in modules:
            place = numberless(facts.modules.path_at(module))
            by_place.setdefault((*key, place), []).append(module)
    lone = set()
    for modules in by_place.values():
        if len(modules) > 1:
            yield modules, modules
        else:
            lone.update(modules)
    for modules in irregular.values():
        candidates = [module for module in modules if module in lone]
        if candidates:
            yield candidates, modules


def _patterns(facts: Facts) -> dict[int, list[tuple[str, bool]]]:
    """What is trained of each leaf module of a class of which some instance is partly frozen."""
    modules, tensors = facts.snapshot.slot_columns.modules, facts.snapshot.slot_columns.tensors
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
    found: dict[int, list[tuple[str, bool]]] = {}
    for kind in sorted(kinds, key=lambda each: each.name):
        type = kind.owner.type
        if type in partly and not facts.is_a(type, *_LISTS):
            for slot in kind.slots:
                module = modules[slot]
                # A weight that stands elsewhere, too, may have been frozen there.
                if module not in facts.children and tensors[slot] not in facts.tied:
                    found.setdefault(module, []).append((kind.name, kind.is_trainable))
    return found
