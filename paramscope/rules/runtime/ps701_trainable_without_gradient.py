"""The loss of the run does not depend on a trainable parameter.

What it finds
: A registered parameter that requires grad and that no gradient reaches from the loss, with the inputs of this run.
  All that lies in one module of which nothing is reached is one finding, which says whether the module was called,
  and names the line of a `torch.no_grad()` or a `detach()` if that is all that its forward does with it. **Info**
  where other inputs may well reach it: others of the same list or dict are reached, as experts of a mixture are, or
  the forward uses it on a condition only. A tied parameter is reached if one of its names is.

Why it matters
: It stays as it was initialised, and nothing says so. DistributedDataParallel raises in the second step, unless it
  is built with `find_unused_parameters=True`.

Example
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(8, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        with torch.no_grad():  # the encoder was frozen once, and is to be trained now
            features = self.encoder(x)
        return self.head(features)


model, inputs = Net(), torch.ones(3, 8)
```

Instead
```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(8, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.encoder(x))


model, inputs = Net(), torch.ones(3, 8)
```

When it is wrong to follow it
: Where the part is trained by another loss, or with other inputs, than those of this run: run that one. A part that
  is never meant to be trained is better frozen, `requires_grad_(False)`, or left out. Averages that
  `torch.optim.swa_utils.AveragedModel` and its like keep are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Blame, Problem, Rule, Undecided
from paramscope.rules.runtime._regions import Region, Trained, cut_of, cut_within, reach, region_of, uses_in_forward
from paramscope.snapshot.path import numberless

RULE = Rule("PS701", "trainable-without-gradient", Severity.WARNING, needs="run", yields_to=("PS107", "PS401"))

_FREEZE = "freeze {0|it|them}: requires_grad_(False)."


_CONDITION = " uses {0|it|them} on a condition that did not hold in this run."
_OTHERS = (
    "Nothing to do where other inputs, or the other mode, use {0|it|them}. DistributedDataParallel needs "
    "find_unused_parameters=True for steps without."
)


class _Cause(NamedTuple):
    """Why no gradient reaches something."""

    why: str
    help: str
    severity: Severity | None = None
    blame: str | Blame | None = None


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Unreached tensors, each in the topmost module of which nothing is reached. Where nothing is reached at all,
    PS710 says so."""
    found = reach(facts)
    for trained in found.unreached if found.reached else ():
        region = region_of(facts, trained.slot)
        path = facts.modules.path_at(region.module)
        cause = _of_region(facts, region) if region.is_whole else _of_one(facts, trained, region)
        yield Problem(
            (facts.slots.path_at(trained.slot), path, *facts.paths(trained.further)),
            "{0} {0|is|are} trainable, but no gradient reaches {0|it|them}: " + cause.why,
            cause.help,
            cause.severity,
            blame=cause.blame,
            alike=numberless(path),
        )


def _of_region(facts: Facts, region: Region) -> _Cause:
    """Why nothing in a module is reached."""
    if region.has_reached_siblings:
        return _Cause(
            "these inputs do not reach {1}, though they reach others beside {1|it|them}.",
            "Nothing to do where the inputs choose among them, as in a mixture of experts. DistributedDataParallel "
            "needs find_unused_parameters=True then.",
            Severity.INFO,
        )
    path = facts.modules.path_at(region.module)
    if facts.parents[region.module] < 0:
        return _Cause(
            "nothing in {1} is reached by this loss, which is that of another root.",
            "Nothing to do where {1} {1|has a loss of its|have losses of their} own.",
            Severity.INFO,
        )
    uses = uses_in_forward(facts, path, region.module)
    if not region.is_called:
        if uses and all(each.is_conditional for each in uses):
            return _Cause("forward" + _CONDITION.replace("{0|it|them}", "{1}"), _OTHERS, Severity.INFO)
        return _Cause(
            "the run never called {1}.",
            "Call {1} in forward, on the way to the loss; or, if {1|it is|they are} not needed, leave {1|it|them} "
            "out, or " + _FREEZE,
            blame=path,
        )
    cut = cut_of(uses) or cut_within(facts, region.module)
    if cut is not None:
        is_ungraded = cut.cut == "no_grad"
        return _Cause(
            "{1} {1|runs|run} under torch.no_grad()." if is_ungraded else "what {1} {1|returns|return} is detached.",
            f"Take {'torch.no_grad()' if is_ungraded else 'detach()'} away if {{1}} {{1|is|are}} to be trained; if "
            "not, " + _FREEZE,
            blame=Blame.line(cut.at),
        )
    return _Cause(
        "{1} {1|was|were} called, but the loss does not depend on what {1|it|they} returned, or is cut off from it.",
        "See what becomes of the output: is it used, and is there a detach(), torch.no_grad(), argmax or rounding on "
        "the way to the loss? If {0|it is|they are} not to be trained, " + _FREEZE,
    )


def _of_one(facts: Facts, trained: Trained, region: Region) -> _Cause:
    """Why a parameter is not reached, of a module of which others are."""
    uses = uses_in_forward(facts, facts.slots.path_at(trained.slot), region.module)
    if uses and all(each.is_conditional for each in uses):
        return _Cause("forward" + _CONDITION, _OTHERS, Severity.INFO)
    cut = cut_of(uses)
    if cut is not None:
        how = "under torch.no_grad()" if cut.cut == "no_grad" else "detached"
        return _Cause(
            f"forward reads {{0|it|them}} {how}.",
            "If {0|it is|they are} to be trained, read {0|it|them} as {0|it is|they are}; if not, " + _FREEZE,
            blame=Blame.line(cut.at),
        )
    return _Cause(
        "the loss depends on other parameters of {1}, but not on {0|this one|these}.",
        "Use {0|it|them} in forward, as {0|it is|they are}: not through .data, detach() or a copy. If {0|it is|they "
        "are} not needed, leave {0|it|them} out, or " + _FREEZE,
    )
