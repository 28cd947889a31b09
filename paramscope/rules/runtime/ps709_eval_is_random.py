"""In eval mode two forwards of the same inputs differ.

What it finds
: A model that is in eval mode, and whose output is another one the second time. The line is that of a
  dropout in forward that is not told the mode, if there is one. **Info** where a forward draws samples by name
  (`torch.randn_like`, `.sample()`), which may be what it is for.

Why it matters
: Evaluation is not reproducible, and worse than it need be: noise that was meant for training is still there.
  `F.dropout` is active unless it is given `training=self.training`, and a layer that is made in forward is always
  in training mode.

Example
```python
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 64)

    def forward(self, x):
        return F.dropout(self.fc(x), 0.5)


model, inputs = Net().eval(), torch.ones(3, 64)
```

Instead
```python
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 64)

    def forward(self, x):
        return F.dropout(self.fc(x), 0.5, training=self.training)


model, inputs = Net().eval(), torch.ones(3, 64)
```

When it is wrong to follow it
: In a model that samples by design: a variational autoencoder, Monte Carlo dropout, a policy that explores.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from paramscope import source
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal
from paramscope.rules.rule import Blame, Problem, Rule, Undecided
from paramscope.text import listed

if TYPE_CHECKING:
    from paramscope.source.forward_uses import Call

RULE = Rule("PS709", "eval-is-random", Severity.WARNING, needs="backward")

_DROPOUT = re.compile(r"(feature_)?(alpha_)?dropout[123]?d?|Dropout[123]?d|(Feature)?(Alpha)?Dropout")
_SAMPLING = re.compile(
    r"r?sample(_n)?|rand(n|int|perm)?(_like)?|multinomial|bernoulli_?|normal_?|uniform_|gumbel_softmax"
)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """What two forwards showed, and what the source says of it."""
    run = facts.snapshot.run
    if run is None or not run.is_random:
        return
    calls = list(_calls(facts))
    dropping = next((each.at for each in calls if _drops(each)), None)
    drawn = [each.name for each in calls if _SAMPLING.fullmatch(each.name)]
    help = (
        "Look for randomness that does not ask for the mode: F.dropout without training=self.training, a layer made "
        "in forward, a module whose forward ignores self.training."
    )
    if dropping is not None:
        help = "Give it the mode: F.dropout(x, p, training=self.training), or make an nn.Dropout in __init__."
    elif drawn:
        help = f"Nothing to do if {drawn[0]}() is meant to draw in evaluation, too; if not, ask self.training first."
    why = "dropout is still active." if dropping else f"its forward draws with {drawn[0]}()." if drawn else _SOMEWHERE
    training = [each for each in _training(facts) if each not in facts.snapshot.roots]
    if training:
        names = listed(training[:3] + ([f"{len(training) - 3} more"] if len(training) > 3 else []))
        why = f"{names} {'is' if len(training) == 1 else 'are'} in training mode."
        help = "Call model.eval() when all of it is built, or leave them in training mode on purpose."
    yield Problem(
        (*facts.snapshot.roots, *training),
        f"Two forwards of the same inputs differ, though the model is in eval mode: {literal(why)}",
        help,
        Severity.INFO if drawn and dropping is None and not training else None,
        blame=None if dropping is None or training else Blame.line(dropping),
    )


def _training(facts: Facts) -> Iterator[str]:
    """Paths of the modules that the run called in training mode."""
    for kind, modules in facts.module_kinds:
        if kind.training:
            yield from (facts.modules.path_at(each) for each in modules if facts.snapshot.run_of_module(each))


_SOMEWHERE = "something in it is random."


def _calls(facts: Facts) -> Iterator[Call]:
    """What the forwards that ran call."""
    for kind, modules in facts.module_kinds:
        if any(facts.snapshot.run_of_module(each) for each in modules):
            yield from source.forward_uses.calls(facts.snapshot.classes, kind.type)


def _drops(call: Call) -> bool:
    """Whether it drops elements in whatever mode: by a function that is not told the mode, or a layer made on the
    spot."""
    is_told = len(call.node.args) > 2 or any(each.arg in ("training", "train", None) for each in call.node.keywords)
    return _DROPOUT.fullmatch(call.name) is not None and not call.is_of_instance and not is_told
