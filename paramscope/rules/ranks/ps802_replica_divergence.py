"""Replicas of a parameter hold different values on different ranks.

What it finds
: Parameters that training keeps alike on several ranks, and of which the bits of some differ from those of the
  others: below DistributedDataParallel, along the dimensions of a mesh that a DTensor is replicated over, between the
  replicas of HSDP, and the norms and biases of layers that tensor parallelism cuts. It compares checksums,
  `audit(model, ranks=True, values=True)`.

Why it matters
: Gradients are averaged, weights are not: what once differs stays so, each rank trains a model of its own, and the
  checkpoint is whichever rank wrote it. No metric shows it.

Example
```python
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

model = DistributedDataParallel(nn.Linear(8, 2))
if dist.get_rank() == 0:  # where the checkpoint lies
    model.module.load_state_dict({"weight": torch.ones(2, 8), "bias": torch.zeros(2)})
```

Instead
```python
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

model = nn.Linear(8, 2)
if dist.get_rank() == 0:
    model.load_state_dict({"weight": torch.ones(2, 8), "bias": torch.zeros(2)})
model = DistributedDataParallel(model)  # hands rank 0's weights to all
```

When it is wrong to follow it
: Between steps that are meant to drift apart for a while, as in local SGD, or within `no_sync()` with an optimizer of
  each rank's own.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.ranks._differing import differences, fewer, most
from paramscope.rules.rule import Problem, Rule

RULE = Rule("PS802", "replica-divergence", Severity.ERROR, needs="ranks")

_HELP = (
    "Load and change weights alike on every rank, or before the model is wrapped. To go on from here, hand out those "
    "of one rank: torch.distributed.broadcast(parameter.data, src=0)."
)


def check(facts: Facts) -> Iterator[Problem]:
    """Yields each parameter of each rank that is not as on most of its replicas."""
    for each in differences(facts, "replica"):
        message = f"{{0}} {{0|holds|hold}} other values than on {most(each)}: no step brings them together again."
        for spans, _, paths in fewer(each):
            yield Problem(paths, message, _HELP, blame=None, alike=(each.kind, spans))
