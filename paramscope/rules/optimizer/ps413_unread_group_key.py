"""A param group holds a key that the optimizer does not read.

What it finds
: A key of a param group that is neither in the optimizer's `defaults` nor mentioned in the code of its class, its
  hooks or the schedulers that were passed. It is a **warning** if it is a synonym of a known key (`learning_rate`,
  `weight_decay_rate`, `wd`), or that key misspelled, and the group still has the default for it; otherwise
  information, since a loop may read it (`lr_scale`, `name`). What torch's schedulers store there is ignored. The line
  is the one that builds the optimizer, if it is found in the files that define the model's classes.

Why it matters
: torch keeps every key of a group and silently ignores those it does not know: the group runs with the default rate
  or decay, though printing it suggests otherwise.

Example
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
groups = [{"params": model[0].parameters(), "learning_rate": 1e-4}, {"params": model[1].parameters()}]
optimizer = torch.optim.SGD(groups, lr=0.1)
```

Instead
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
groups = [{"params": model[0].parameters(), "lr": 1e-4}, {"params": model[1].parameters()}]
optimizer = torch.optim.SGD(groups, lr=0.1)
```

When it is wrong to follow it
: Where your own loop reads the key and sets the rate from it. Keys that an optimizer's code looks up by a computed
  name cannot be detected.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paramscope.errors import nearest
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal
from paramscope.rules.optimizer._members import class_name, place
from paramscope.rules.rule import Blame, Problem, Rule, Undecided
from paramscope.snapshot.hyperparameters import PUT_BY_TORCH, SPELLINGS
from paramscope.text import option

RULE = Rule("PS413", "unread-group-key", Severity.WARNING, needs="optimizer")

_CLOSE = 0.9
"""How alike a key and a known one are that was misspelled: one letter of ten."""
_OTHERS = {"momentum": "betas", "betas": "momentum"}
"""Words of one family of optimizers for what another has under another name."""
_TOLD_BY_LIBRARIES = ("lookahead_", "_")
"""How keys begin that wrappers keep in the groups of the optimizer within them."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Keys of groups that are neither defaults nor read."""
    for optimizer in facts.optimizers:
        if optimizer.defaults is None:
            continue
        known = dict(optimizer.defaults)
        passed = {*known, *PUT_BY_TORCH, *optimizer.read_keys}
        kind = literal(class_name(optimizer))
        for group in optimizer.groups:
            options = dict(group.options)
            for key in options:
                if key in passed or key.startswith(_TOLD_BY_LIBRARIES):
                    continue
                meant = _meant(key, known)
                severity: Severity | None = Severity.INFO
                so = "it does nothing unless other code looks for it"
                instead = "Nothing to do if a loop or a scheduler of yours reads it."
                if meant is not None and _falls_back(options, key, meant, known):
                    so = f"it goes by {meant}, and that is {literal(option(options.get(meant)))} there, the default"
                    instead, severity = f"Write {meant}=… in the group in place of {literal(key)}.", None
                yield Problem(
                    (place(optimizer, group.index),),
                    f"{kind} does not read the key {literal(key)} of {{0}}: {so}.",
                    instead,
                    severity,
                    blame=Blame.optimizer(optimizer.name),
                    alike=(optimizer.name, key),
                )


def _meant(key: str, known: dict[str, Any]) -> str | None:
    """The key that the optimizer knows for what another word says."""
    plain = key.lower().replace("-", "_").replace(" ", "_")
    for word in (plain, SPELLINGS.get(plain), SPELLINGS.get(plain.replace("_", "")), _OTHERS.get(plain)):
        if word is not None and word in known:
            return word
    near = nearest(plain, known, n=1, cutoff=_CLOSE)
    return near[0] if near and not any(map(str.isdigit, key)) else None


def _falls_back(options: dict[str, Any], key: str, meant: str, known: dict[str, Any]) -> bool:
    """Whether the group has the default for what another of its keys asks for otherwise."""
    default, asked = known[meant], options[key]
    now = options.get("initial_lr", options.get("lr")) if meant == "lr" else options.get(meant)
    is_same = asked in default if isinstance(default, tuple) else asked == default
    return bool(now == default and not is_same)
