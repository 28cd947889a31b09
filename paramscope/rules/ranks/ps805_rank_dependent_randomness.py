"""Random numbers are alike where ranks should differ, or differ where they should agree.

What it finds
: Shards of one tensor that have the same bits on several ranks, other than zeros and ones; and models that nothing
  wraps yet, of which every trainable tensor differs between ranks. It compares checksums,
  `audit(model, ranks=True, values=True)`.

Why it matters
: Shards that begin alike get gradients that are alike, and stay copies of each other: the layer has a fraction of the
  units that are paid for. Models that begin differently, and whose gradients are averaged by hand, never agree.

Example
```python
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard

mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("tp",))
torch.manual_seed(0)  # on every rank
shard = torch.randn(2, 8)
model = nn.Linear(8, 2 * dist.get_world_size(), bias=False)
model.weight = nn.Parameter(DTensor.from_local(shard, mesh, [Shard(0)]))
```

Instead
```python
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("tp",))
torch.manual_seed(0)
model = nn.Linear(8, 2 * dist.get_world_size(), bias=False)
model.weight = nn.Parameter(distribute_tensor(model.weight.detach(), mesh, [Shard(0)]))
```

When it is wrong to follow it
: Before DistributedDataParallel wraps the model: it hands rank 0's weights to all. And where each rank trains a model
  of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import text
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.ranks._differing import differences, fewer, most
from paramscope.rules.rule import Problem, Rule
from paramscope.snapshot import numbers_in

RULE = Rule("PS805", "rank-dependent-randomness", Severity.WARNING, needs="ranks")

_SHARDS = (
    "Seed each rank differently before it makes its shards, or make the whole and cut it: distribute_tensor(whole, "
    "mesh, [Shard(0)])."
)
_WHOLES = (
    "Call torch.manual_seed(seed) with one seed on every rank before the model is built, or hand rank 0's weights to "
    "all, as DistributedDataParallel(model) does."
)


def check(facts: Facts) -> Iterator[Problem]:
    """Yields shards that are alike, and models that are not."""
    for each in differences(facts, "shard"):
        for spans, _ in each.said:
            message = f"The shards of {{0}} are the same on {text.ranks(numbers_in(spans))}, bit by bit."
            yield Problem((each.path,), message, _SHARDS, blame=None, alike=(each.kind, spans))
    for each in differences(facts, "unbound"):
        message = (
            f"Every trainable tensor, such as {{0}}, holds other values than on {most(each)}, and nothing here "
            "brings them together."
        )
        for _, _, paths in fewer(each):
            yield Problem(paths, message, _WHOLES, blame=None, alike=each.kind)
