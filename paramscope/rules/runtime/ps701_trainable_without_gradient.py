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


_OTHERS = (
    "Nothing to do where other inputs, or the other mode, use {0|it|them}. DistributedDataParallel needs "
    "find_unused_parameters=True for steps without."
)


class _Cause(NamedTuple):
    """Why no gradient reaches something."""

    message: str
    help: str
    severity: Severity | None = None
    blame: str | Blame | None = None
    alike: str | None = None
    """What makes it one finding with others; None for the path of the region without numbers."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Unreached tensors, each in the topmost module of which nothing is reached. Where nothing is reached at all,
    PS710 says so."""
    found = reach(facts)
    problems: list[tuple[Trained, Region, _Cause]] = []
    for trained in found.unreached if found.reached else ():
        region = region_of(facts, trained.slot)
        cause = _of_region(facts, region) if region.is_whole else _of_one(facts, trained, region)
        problems.append((trained, region, cause))
    following = _following(facts, [region.module for _, region, cause in problems if cause.alike == _CALLED])
    for trained, region, cause in problems:
        path = facts.modules.path_at(region.module)
        yield Problem(
            (facts.slots.path_at(trained.slot), path, *facts.paths(trained.further)),
            cause.message,
            (following if cause.alike == _CALLED else "") + cause.help,
            cause.severity,
            blame=cause.blame,
            alike=cause.alike or numberless(path),
        )


_CALLED = "called"


def _following(facts: Facts, regions: list[int]) -> str:
    """Which module of a list is reached, though all before it are not."""
    if not regions:
        return ""
    last = max(regions)
    parent = facts.parents[last]
    siblings = list(facts.children[parent]) if parent >= 0 else []
    behind = siblings[siblings.index(last) + 1 :] if last in siblings else []
    name = facts.modules.path_at(behind[0]) if behind else ""
    if not name.rpartition(".")[2].isdecimal() or not reach(facts).below[behind[0]]:
        return ""
    return f"{name}, which comes next, is reached: look at what it is given. "


def _of_region(facts: Facts, region: Region) -> _Cause:
    """Why nothing in a module is reached."""
    if region.has_reached_siblings and not region.is_called:
        return _Cause(
            "No gradient reaches {1}: these inputs do not call {1|it|them}, but others beside {1|it|them}.",
            "Nothing to do where the inputs choose among them, as in a mixture of experts. DistributedDataParallel "
            "needs find_unused_parameters=True then.",
            Severity.INFO,
        )
    path = facts.modules.path_at(region.module)
    if facts.parents[region.module] < 0:
        return _Cause(
            "No gradient reaches {1}: this loss is that of another root.",
            "Nothing to do where {1} {1|has a loss of its|have losses of their} own.",
            Severity.INFO,
        )
    uses = uses_in_forward(facts, path, region.module)
    if not region.is_called:
        if uses and all(each.is_conditional for each in uses):
            return _Cause(
                "No gradient reaches {1}: forward calls {1|it|them} on a condition that did not hold in this run.",
                _OTHERS,
                Severity.INFO,
            )
        return _Cause(
            "The run never called {1}, so that no gradient reaches {1|its|their} parameters.",
            "Call {1} in forward, on the way to the loss; or, if {1|it is|they are} not needed, leave {1|it|them} "
            "out, or " + _FREEZE,
            blame=path,
        )
    cut = cut_of(uses) or cut_within(facts, region.module)
    if cut is not None:
        is_ungraded = cut.cut == "no_grad"
        what = "{1} {1|runs|run} under torch.no_grad()" if is_ungraded else "What {1} {1|returns|return} is detached"
        return _Cause(
            f"{what}: no gradient reaches {{1|its|their}} parameters.",
            f"Take {'torch.no_grad()' if is_ungraded else 'detach()'} away if {{1}} {{1|is|are}} to be trained; if "
            "not, " + _FREEZE,
            blame=Blame.line(cut.at),
        )
    return _Cause(
        "No gradient reaches {1}, though the run called {1|it|them}: the loss does not depend on what {1|it|they} "
        "returned, or is cut off from it.",
        "Is the output used, and is there a detach(), torch.no_grad(), argmax or rounding on the way to the loss? "
        "If {0|it is|they are} not to be trained, " + _FREEZE,
        alike=_CALLED,
    )


def _of_one(facts: Facts, trained: Trained, region: Region) -> _Cause:
    """Why a parameter is not reached, of a module of which others are."""
    uses = uses_in_forward(facts, facts.slots.path_at(trained.slot), region.module)
    if uses and all(each.is_conditional for each in uses):
        return _Cause(
            "No gradient reaches {0}: forward uses {0|it|them} on a condition that did not hold in this run.",
            _OTHERS,
            Severity.INFO,
        )
    cut = cut_of(uses)
    if cut is not None:
        how = "under torch.no_grad()" if cut.cut == "no_grad" else "detached"
        return _Cause(
            f"No gradient reaches {{0}}: forward reads {{0|it|them}} {how}.",
            "If {0|it is|they are} to be trained, read {0|it|them} as {0|it is|they are}; if not, " + _FREEZE,
            blame=Blame.line(cut.at),
        )
    return _Cause(
        "No gradient reaches {0}, though the loss depends on other parameters of {1}.",
        "Use {0|it|them} in forward, as {0|it is|they are}: not through .data, detach() or a copy. If {0|it is|they "
        "are} not needed, leave {0|it|them} out, or " + _FREEZE,
    )
