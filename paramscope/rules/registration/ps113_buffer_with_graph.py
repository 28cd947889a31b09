"""A buffer holds a graph.

What it finds
: A registered buffer that is no leaf: it was computed from tensors that require grad, and remembers how.
  The line is one that can have made that graph: never one that registers zeros, or that runs under no_grad.

Why it matters
: The next step goes on from it, through the graph of the step before: the second backward fails, or the graph,
  and the memory with it, grows from step to step. `copy.deepcopy` of the model fails as well.

Example
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)
        self.register_buffer("mean", torch.zeros(4))
        self.mean = 0.9 * self.mean + 0.1 * self.lin.weight.mean(0)

model = Net()
```

Instead
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)
        self.register_buffer("mean", torch.zeros(4))
        self.mean = 0.9 * self.mean + 0.1 * self.lin.weight.detach().mean(0)

model = Net()
```

When it is wrong to follow it
: Where the graph over several steps is meant, as in truncated backpropagation through time. Then keep it in a plain
  attribute and cut it off yourself.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.text import name as printable

RULE = Rule("PS113", "buffer-with-graph", Severity.ERROR)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Buffers that are no leaves."""
    for kind in facts.slot_kinds:
        if kind.role != "buffer" or not kind.is_registered or kind.spec is None or kind.is_leaf:
            continue
        for path in facts.paths(kind.slots):
            if facts.is_recomputed(path):
                continue
            yield Problem(
                (path,),
                "{0} is a buffer with a graph behind it: the second backward through it fails, and so does "
                "copy.deepcopy of the model.",
                f"Cut it off where it is assigned: self.{printable(kind.name)} = ….detach(), or compute it under "
                "torch.no_grad().",
                cause="graph",
            )
