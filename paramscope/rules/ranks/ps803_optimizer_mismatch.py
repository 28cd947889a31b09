"""Ranks step different parameters, or step them differently.

What it finds
: Param groups whose class, options or size are not those that the other ranks have, and slots that stand in other
  groups, `audit(model, optimizer=optimizer, ranks=True)`.

Why it matters
: Replicas get the same gradients and are stepped apart: from the first step on they are different models, each with a
  loss of its own, and the checkpoint is whichever rank saved it.

Example
```python
import torch
import torch.distributed as dist
from torch import nn

model = nn.Linear(8, 2)
rate = 0.1 * (dist.get_rank() + 1)  # was to be scaled by the number of ranks
optimizer = torch.optim.SGD(model.parameters(), lr=rate)
```

Instead
```python
import torch
import torch.distributed as dist
from torch import nn

model = nn.Linear(8, 2)
rate = 0.1 * dist.get_world_size()
optimizer = torch.optim.SGD(model.parameters(), lr=rate)
```

When it is wrong to follow it
: Where each rank is meant to train something else, as stages of a pipeline do: where ranks do not have the same slots
  nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import text
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import unbraced
from paramscope.rules.ranks._differing import differences, fewer, most
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import RankDifference, numbers_in

RULE = Rule("PS803", "optimizer-mismatch", Severity.ERROR, needs="ranks")

_HELP = "Build the optimizer alike on every rank: of the same parameters, with the same options."


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Yields each group, and each member, of each rank that is not as on most of the others."""
    if any(not words for each in differences(facts, "slot") for _, words in each.said):
        return
    for each in differences(facts, "optimizers"):
        if none := [spans for spans, words in each.said if not words]:
            yield Undecided(f"no optimizer was given on {text.ranks(numbers_in(none[0]))}, and one was on others")
            return
    for each in differences(facts, "group", "member"):
        yield from _problems(each)


def _problems(difference: RankDifference) -> Iterator[Problem]:
    where, usual = most(difference), difference.said[0][1]
    for ranks, words, paths in fewer(difference):
        if difference.kind == "member":
            here, there = (f"in group {each}" if each else "in no group" for each in (words, usual))
        else:
            here, there = _differing(words, usual), _differing(usual, words)
        message = f"{{0}} {{0|is|are}} {unbraced(here)}; on {where}: {unbraced(there)}."
        yield Problem(paths, message, _HELP, blame=None, alike=(difference.kind, ranks))


def _differing(words: str, others: str) -> str:
    """What stands in a list and not in another one."""
    there = set(others.split("; "))
    return ", ".join(each for each in words.split("; ") if each not in there) or "not there"
