"""Buffers that each rank keeps for itself differ.

What it finds
: Buffers, such as the running statistics of BatchNorm, that differ between ranks that train one model, where nothing
  brings them together: below DistributedDataParallel(…, broadcast_buffers=False), and below FSDP. It compares
  checksums, `audit(model, ranks=True, values=True)`.

Why it matters
: In eval mode each rank computes something else, and the checkpoint has the statistics of one rank, seen on its share
  of the data.

Example
```python
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

model = DistributedDataParallel(nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)), broadcast_buffers=False)
model(torch.randn(4, 8) + dist.get_rank())
```

Instead
```python
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

model = DistributedDataParallel(nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)))
model(torch.randn(4, 8) + dist.get_rank())
```

When it is wrong to follow it
: Where each rank is meant to have statistics of its own, or they are averaged before evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.ranks._differing import differences, fewer, most
from paramscope.rules.rule import Problem, Rule

RULE = Rule("PS806", "buffer-divergence", Severity.WARNING, needs="ranks")

_HELP = (
    "On GPUs, nn.SyncBatchNorm.convert_sync_batchnorm(model) makes the statistics those of all ranks; "
    "DistributedDataParallel hands rank 0's to all unless it was told not to, by broadcast_buffers=False."
)


def check(facts: Facts) -> Iterator[Problem]:
    """Yields each buffer of each rank that is not as on most of the others."""
    for each in differences(facts, "buffer"):
        message = f"{{0}} {{0|is a buffer that holds|are buffers that hold}} other values than on {most(each)}."
        for _, _, paths in fewer(each):
            yield Problem(paths, message, _HELP, blame=None, alike=each.kind)
