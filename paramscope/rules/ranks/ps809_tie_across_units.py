"""Tied weights lie in different sharding units, or in different stages of a pipeline.

What it finds
: A pair that the model declares to be tied, and is none, because two units of FSDP have each cut one half; or of
  which some ranks have the one half and others the other.

Why it matters
: Each half gets the gradient of its own use only, and is stepped by itself: after the first step they differ, and
  what is saved is one of them.

Example
```python
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.all_tied_weights_keys = {"head.weight": "embed.weight"}  # as those of transformers have
        self.embed = nn.Embedding(16, 8)
        self.head = nn.Linear(8, 16, bias=False)
        self.head.weight = self.embed.weight


mesh = init_device_mesh("cpu", (dist.get_world_size(),))
model = Net()
fully_shard(model.embed, mesh=mesh)
fully_shard(model.head, mesh=mesh)
fully_shard(model, mesh=mesh)
```

Instead
```python
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.all_tied_weights_keys = {"head.weight": "embed.weight"}  # as those of transformers have
        self.embed = nn.Embedding(16, 8)
        self.head = nn.Linear(8, 16, bias=False)
        self.head.weight = self.embed.weight


model = Net()
fully_shard(model, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
```

When it is wrong to follow it
: Where you add up the gradients of both halves yourself, as pipelines do that keep a copy on the first and the last
  stage.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import text
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.ranks._differing import differences
from paramscope.rules.rule import Problem, Rule
from paramscope.snapshot import RankDifference, numbers_in
from paramscope.snapshot.path import is_at_or_below, join

RULE = Rule("PS809", "tie-across-units", Severity.ERROR, needs="ranks")

_UNITS = "Wrap both in one unit of FSDP: leave them to the root, fully_shard(model)."
_STAGES = (
    "Perhaps your code adds up the gradients of both; if not, keep both in one stage, or untie them "
    "(config.tie_word_embeddings = False)."
)


def check(facts: Facts) -> Iterator[Problem]:
    """Yields each pair that units, or stages, have parted."""
    units = [each.path for each in facts.oddities("unit") if each.name != "DistributedDataParallel"]
    for tie in facts.snapshot.declared_ties:
        for pair in tie.pairs:
            one, other = (facts.slots[path] for path in pair)
            if one.tensor == other.tensor or one.tensor is None or other.tensor is None:
                continue
            above = [
                max((each for each in units if is_at_or_below(path, each)), key=len, default="") for path in pair
            ]
            if above[0] != above[1]:
                message = (
                    "{0} and {1} are declared to be tied, and are cut by two units of FSDP: each learns by itself."
                )
                yield Problem(pair, message, _UNITS, blame=None)
    yield from _over_stages(facts)


def _over_stages(facts: Facts) -> Iterator[Problem]:
    held = {each.path: each for each in differences(facts, "slot")}
    for tie in facts.snapshot.declared_ties:
        one, other = (held.get(join(tie.module, name)) for name in tie.names)
        if one is None or other is None:
            continue
        here, there = _holders(one), _holders(other)
        if here and there and here.isdisjoint(there):
            message = (
                f"{{0}} and {{1}} are declared to be tied, and lie on {text.ranks(sorted(here))} and "
                f"{text.ranks(sorted(there))}: perhaps each learns by itself."
            )
            yield Problem((one.path, other.path), message, _STAGES, severity=Severity.WARNING, blame=None)


def _holders(difference: RankDifference) -> set[int]:
    return {rank for spans, words in difference.said if words for rank in numbers_in(spans)}
