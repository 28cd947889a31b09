"""The parameters of one layer lie on different meshes.

What it finds
: A layer of torch.nn, with its own forward, some of whose parameters are DTensors while others are plain tensors, or
  DTensors of another mesh. What FSDP cuts is compared as it is in forward, when FSDP has put it together.

Why it matters
: torch refuses to compute with both: "got mixed torch.Tensor and DTensor". If it is not called yet, it will be.

Example
```python
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("tp",))
model = nn.Linear(8, 8)
model.weight = nn.Parameter(distribute_tensor(model.weight.detach(), mesh, [Shard(0)]))
```

Instead
```python
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("tp",))
model = parallelize_module(nn.Linear(8, 8), mesh, ColwiseParallel())
```

When it is wrong to follow it
: Where a hook makes local tensors of them before forward.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import text
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.rule import Problem, Rule
from paramscope.snapshot import SlotRecord
from paramscope.snapshot.path import is_at_or_below

RULE = Rule("PS808", "mixed-placements", Severity.WARNING, needs="ranks")

_HELP = "Cut the whole layer: parallelize_module(layer, mesh, ColwiseParallel()) places all of its parameters."


def check(facts: Facts) -> Iterator[Problem]:
    """Yields each layer whose parameters do not lie on one mesh."""
    if not any(spec.placements for spec in facts.snapshot.interned.specs):
        return
    units = {each.path: str(each.value).split(",") for each in facts.oddities("unit")}
    for position, module in enumerate(facts.modules.records()):
        if not module.type.startswith("torch.nn.modules.") or facts.has_own_forward(module.type, module.path):
            continue
        cut = max((path for path in units if is_at_or_below(module.path, path)), key=len, default=None)
        dims = units.get(cut, []) if cut is not None else []
        held = [each for each in facts.slots_of(position) if each.role == "parameter" and each.status != "empty"]
        meshes: dict[tuple[tuple[str, int], ...], list[SlotRecord]] = {}
        for slot in held:
            mesh = tuple((each.mesh, each.ranks) for each in slot.placements if each.mesh not in dims)
            meshes.setdefault(mesh, []).append(slot)
        if len(meshes) > 1:
            (one, first), (other, second) = list(meshes.items())[:2]
            message = f"{{0}} is {_words(one)}, and {{1}} is {_words(other)}: torch does not compute with both."
            yield Problem((first[0].path, second[0].path), message, _HELP, blame=None, is_apart=True)


def _words(mesh: tuple[tuple[str, int], ...]) -> str:
    if not mesh:
        return "no DTensor"
    return "over the mesh " + text.listed([f"{text.name(name)} ({ranks})" for name, ranks in mesh])
