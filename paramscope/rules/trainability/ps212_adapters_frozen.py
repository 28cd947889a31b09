"""All adapters are frozen or merged, while an optimizer trains something else.

What it finds
: A model whose low-rank adapters (`lora_A`, `lora_B` and their kin), or the copies that peft makes for
  `modules_to_save`, are all frozen, while an optimizer trains other parameters; and adapters that are merged into
  their layers while an optimizer is at work.

Why it matters
: An adapter is added to be trained. A loop that freezes everything but a projector silently freezes it, too; and
  forward bypasses a merged adapter, so it gets no gradient.

Example
```python
import torch
from torch import nn

class Lora(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.lora_A = nn.Linear(8, 2, bias=False)
        self.lora_B = nn.Linear(2, 8, bias=False)

model = nn.Sequential(nn.Linear(4, 8), Lora(nn.Linear(8, 8)))
for name, parameter in model.named_parameters():
    parameter.requires_grad = name.startswith("0.")
optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1)
```

Instead
```python
import torch
from torch import nn

class Lora(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.lora_A = nn.Linear(8, 2, bias=False)
        self.lora_B = nn.Linear(2, 8, bias=False)

model = nn.Sequential(nn.Linear(4, 8), Lora(nn.Linear(8, 8)))
for name, parameter in model.named_parameters():
    parameter.requires_grad = name.startswith("0.") or "lora_" in name
optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1)
```

When it is wrong to follow it
: Where the adapters were trained before and something else is trained now: information only. If one adapter is
  trained beside frozen ones, it is the active one, and nothing is reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot.path import last_name, parent

RULE = Rule("PS212", "adapters-frozen", Severity.INFO, needs="optimizer")

_ADAPTER = re.compile(
    r"(?:^|\.)((?i:lora[._](?:\w+_)?(?:[ab]|down|up|layer)(?:_\w+)?(?=[._]|$))|lora_magnitude_vector|hada_|lokr_|ia3_|vera_lambda_|oft_|boft_|hra_|adaption_)"
)
"""What libraries call the parts of an adapter; the layer that it belongs to holds them. Not all that begins with
"lora" is one: it has two matrices."""
_COPY = re.compile(r"(?:^|\.)modules_to_save\.")
_BASE = frozenset({"base", "base_layer", "base_model", "original", "original_module", "weight", "bias", "linear"})


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Adapters, copies and what is trained."""
    trained = [kind for kind in facts.slot_kinds if kind.is_trainable and kind.groups]
    merged = facts.oddities("merged-adapter")
    if not trained:
        return
    for oddity in merged:
        yield Problem(
            (oddity.path,),
            "The adapters of {0} are merged into the base weights, though there is an optimizer: forward bypasses "
            "them, so they get no gradient.",
            "Call model.unmerge_adapter() before you go on training.",
            blame=None,
            alike="merged",
        )
    names = {
        "low-rank adapters": "If they are to be trained, call .requires_grad_(True) on the parameters of the "
        "adapters, after the rest is frozen and before the optimizer is built.",
        "copies that modules_to_save made": "If they are to be trained, call .requires_grad_(True) on them.",
    }
    for (what, advice), pattern in zip(names.items(), (_ADAPTER, _COPY), strict=True):
        for slot in _all_frozen(facts, pattern):
            yield Problem(
                (facts.slots.path_at(slot),),
                f"All {what} are frozen, while the optimizer trains other parameters: {{0}}.",
                advice,
                alike=what,
                blame=None,
            )


def _all_frozen(facts: Facts, pattern: re.Pattern[str]) -> list[int]:
    """Parameters of adapters by their names; none where any of them, or anything new beside one, is trained."""
    kinds = [kind for kind in facts.slot_kinds if kind.spec is not None and kind.spec.is_differentiable]
    frozen = [slot for kind in kinds if kind.is_frozen for slot in kind.slots]
    trained = facts.paths([slot for kind in kinds if kind.is_trainable for slot in kind.slots]) if frozen else []
    if not frozen or any(map(pattern.search, trained)):
        return []
    found = zip(frozen, map(pattern.search, facts.paths(frozen)), strict=True)
    adapters = {slot: match.string[: match.start()] for slot, match in found if match is not None}
    layers = frozenset(adapters.values())
    if layers and any(_is_beside(path, layers) for path in trained):
        return []
    return sorted(adapters)


def _is_beside(path: str, layers: frozenset[str]) -> bool:
    """Whether something lies in the layer of an adapter and is none of its base: a method may train such a part."""
    above, name = parent(path), last_name(path)
    while above:
        if above in layers and name not in _BASE:
            return True
        above, name = parent(above), last_name(above)
    return False
