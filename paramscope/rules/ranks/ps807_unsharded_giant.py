"""A large parameter of a sharded model is whole on every rank.

What it finds
: A parameter of 16 MiB or more that no unit of FSDP takes care of, in a model that has some.

Why it matters
: Every rank keeps all of it, and its gradient and its optimizer state, too. And nobody averages its gradient:
  where it is trained, the ranks' copies drift apart.

Example
```python
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

model = nn.Sequential(nn.Embedding(65_536, 64), nn.Linear(64, 64))
fully_shard(model[1], mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
```

Instead
```python
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

mesh = init_device_mesh("cpu", (dist.get_world_size(),))
model = nn.Sequential(nn.Embedding(65_536, 64), nn.Linear(64, 64))
fully_shard(model[1], mesh=mesh)
fully_shard(model, mesh=mesh)  # the root takes what is left
```

When it is wrong to follow it
: Where you cut it, and average its gradient, in a way of your own.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import text
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule

RULE = Rule("PS807", "unsharded-giant", Severity.WARNING, needs="ranks")

_GIANT = 1 << 24
"""Bytes."""
_HELP = (
    "Call fully_shard(model) on the root, after its layers, or name it among what FSDP wraps: it takes what is left."
)


def check(facts: Facts) -> Iterator[Problem]:
    """Yields each large parameter that no unit cuts."""
    for each in facts.oddities("uncut"):
        slot = facts.slots[each.path]
        if slot.placements or (slot.nbytes or 0) < _GIANT:
            continue
        averaged = ", and nobody averages {0|its gradient|their gradients}" if slot.requires_grad else ""
        whole = f"{{0}} {{0|is|are}} whole on every rank, {text.nbytes(slot.nbytes or 0)}"
        yield Problem(
            (each.path,),
            f"{whole}: no unit of FSDP cuts {{0|it|them}}{averaged}.",
            _HELP,
            blame=None,
            alike=slot.nbytes,
        )
