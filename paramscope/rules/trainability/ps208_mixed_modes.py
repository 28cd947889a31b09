"""Some modules are in eval mode while the root is in training mode, or the reverse.

What it finds
: Modules whose `training` differs from that of the root, but for frozen ones in eval mode, which are as they
  should be.

Why it matters
: In one part dropout is off and norms use their running statistics, in the other not; and the next `model.train()`
  puts everything into training mode.

Example
```python
from torch import nn

model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
model[1].eval()
```

Instead
```python
from torch import nn

model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
model.train()
```

When it is wrong to follow it
: A part that is trained may be kept in eval mode on purpose, as dropout that is turned off for a while: information
  only.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.trainability._frozen import is_frozen
from paramscope.snapshot import REGISTERED, TRAINING

RULE = Rule("PS208", "mixed-modes", Severity.INFO)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """The topmost modules of another mode than their root."""
    if len({owner.training for owner, _ in facts.module_kinds if owner.is_registered}) < 2:
        return
    flags, children = facts.snapshot.module_columns.flags, facts.children
    for path in facts.snapshot.roots:
        root = facts.modules.position(path)
        mode = flags[root] & TRAINING
        name, other = ("eval", "training") if mode else ("training", "eval")
        stack = list(reversed(children.get(root, ())))
        while stack:
            module = stack.pop()
            if not flags[module] & REGISTERED:
                continue
            if flags[module] & TRAINING == mode:
                stack.extend(reversed(children.get(module, ())))
                continue
            if mode and is_frozen(facts, module):
                continue
            yield Problem(
                (facts.modules.path_at(module),),
                f"In {name} mode, while the root is in {other} mode: {{0}}. Dropout and norms differ there.",
                "model.train() or model.eval() sets all of it; if a part is to differ, set that part after it.",
                blame=None,
                alike=(path, name),
            )
