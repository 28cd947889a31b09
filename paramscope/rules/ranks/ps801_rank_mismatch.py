"""Ranks do not have the same model.

What it finds
: Slots of which ranks that were asked together, `audit(model, ranks=True)`, say different things: another shape,
  dtype or kind of device, frozen on one and trainable on another, placed differently on a mesh; slots that one rank
  has and no other, or that it alone lacks; and slots in another order.

Why it matters
: Gradients are reduced one after the other, in the order of the parameters. Where ranks disagree the job hangs, or
  tensors that have nothing to do with each other are added up, and no metric shows it.

Example
```python
import torch
import torch.distributed as dist
from torch import nn

model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2))
if dist.get_rank() != 0:  # meant for what rank 0 alone logs
    model[0].requires_grad_(False)
```

Instead
```python
import torch
import torch.distributed as dist
from torch import nn

model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2))
model[0].requires_grad_(False)
```

When it is wrong to follow it
: Where ranks are meant to hold different things. What several ranks have each for themselves, as stages of a pipeline
  and experts do, is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import text
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import unbraced
from paramscope.rules.ranks._differing import differences, fewer, most
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import RankDifference, Spans, numbers_in

RULE = Rule("PS801", "rank-mismatch", Severity.ERROR, needs="ranks")

_HELP = "Build the model, and freeze it, alike on every rank, before it is wrapped or sharded."


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Yields each slot of each rank that is not as on most of the others."""
    found = differences(facts, "slot", "order")
    if on_meta := [each for each in found if _is_without_elements(each)]:
        few = text.ranks(numbers_in(on_meta[0].said[-1][0]))
        yield Undecided(f"ranks do not all have elements yet, as {few} shows: devices were not compared")
        found = [each for each in found if each not in on_meta]
    lopsided = {ranks for each in found if _is_missing(each) for ranks in _fewest(each)}
    if len(lopsided) > 1:
        yield Undecided("ranks have parts of the model each for themselves: what others lack was not judged")
    for each in found:
        if len(lopsided) < 2 or not _is_missing(each):
            yield from _problems(each)


def _is_missing(difference: RankDifference) -> bool:
    return any(not words for _, words in difference.said)


def _is_without_elements(difference: RankDifference) -> bool:
    """Whether ranks differ in nothing but that the tensor of some is on meta, to be filled by another rank."""
    said = [words.partition(",") for _, words in difference.said]
    devices = {head.rpartition(" ")[2] for head, _, _ in said}
    return "meta" in devices and len({(head.rpartition(" ")[0], rest) for head, _, rest in said}) == 1


def _fewest(difference: RankDifference) -> list[Spans]:
    """The ranks that few others agree with; of as many on both sides, all."""
    few = len(numbers_in(difference.said[-1][0]))
    return [ranks for ranks, _ in difference.said if len(numbers_in(ranks)) == few]


def _problems(difference: RankDifference) -> Iterator[Problem]:
    where, usual = most(difference), unbraced(difference.said[0][1])
    for ranks, said, paths in fewer(difference):
        words = unbraced(said)
        if difference.kind == "order":
            message = f"{{0}} has its slots in another order than {where}: {words}, there {usual}."
        elif not words:
            message = f"{{0}} {{0|is|are}} missing; on {where} there is {usual}."
        elif not usual:
            message = f"{{0}} {{0|is|are}} not there on {where}: {words}."
        else:
            message = f"{{0}} {{0|is|are}} {words}; on {where}: {usual}."
        yield Problem(paths, message, _HELP, blame=None, alike=(difference.kind, ranks))
