"""What each of four ranks does, started by torchrun: `torchrun --nproc-per-node 4 ranks.py FOLDER`.

Each case runs on every rank; what a rank saw it writes to FOLDER, for `test_ranks.py` to judge.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

from paramscope import Report, audit
from paramscope.errors import ParamscopeError


def net() -> nn.Sequential:
    """10 × 6, 6 × 3, a norm."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 10), nn.Linear(10, 3), nn.BatchNorm1d(3))


def seen(report: Report) -> dict[str, Any]:
    """What is judged of a report."""
    ranks = report.snapshot.ranks
    assert Report.from_json(report.to_json()) == report
    return {
        "records": [each._asdict() for each in report.ranks],
        "differences": [[each.path, each.said] for each in ranks.differences] if ranks else None,
        "parameters": report.totals.parameters,
        "text": str(report),
    }


def clean() -> Report:
    return audit(DistributedDataParallel(net()), ranks=True)


def frozen_on_one(rank: int) -> Report:
    model = net()
    model[1].bias.requires_grad_(rank != 2)
    return audit(model, ranks=True)


def longer_on_one(rank: int) -> Report:
    model = net()
    if rank == 3:
        model.append(nn.Linear(3, 3))
    model[0] = nn.Linear(6, 10 + (rank == 1))
    return audit(model, ranks=True)


def optimizer_of_one(rank: int) -> Report:
    model = net()
    held = list(model.parameters())[: 5 if rank == 1 else None]
    return audit(model, optimizer=torch.optim.SGD(held, lr=0.2 if rank == 3 else 0.1), ranks=True)


def sharded() -> Report:
    model = net()
    fully_shard(model, mesh=init_device_mesh("cpu", (4,)))
    return audit(model, ranks=True)


def hybrid() -> Report:
    model = net()
    fully_shard(model, mesh=init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicate", "shard")))
    return audit(model, ranks=True)


def flat(keep: bool) -> Report:  # noqa: FBT001
    cpu = torch.device("cpu")
    return audit(FullyShardedDataParallel(net(), use_orig_params=keep, device_id=cpu), ranks=True)


def parallel() -> Report:
    mesh = init_device_mesh("cpu", (4,), mesh_dim_names=("tp",))
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    return audit(parallelize_module(model, mesh, {"0": ColwiseParallel(), "1": RowwiseParallel()}), ranks=mesh)


def of_a_group(rank: int) -> Report:
    groups = [dist.new_group([0, 1]), dist.new_group([2, 3])]
    model = net()
    model[0].bias.requires_grad_(rank != 3)
    return audit(model, ranks=groups[rank // 2])


def gathered(rank: int) -> Report:
    return audit(net(), ranks=True, gather_to=1)


def not_called(rank: int) -> Report:
    if rank == 2:
        return audit(net())
    return audit(net(), ranks=True, timeout=1.5)


def failing(rank: int) -> Report:
    return audit(net() if rank != 1 else "no model", ranks=True)  # type: ignore[arg-type]


def no_group(rank: int) -> Report:
    return audit(net(), ranks="all")  # type: ignore[arg-type]


def main(folder: Path) -> None:
    """Runs all cases."""
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    cases: dict[str, Callable[[], Report]] = {
        "clean": clean,
        "frozen": lambda: frozen_on_one(rank),
        "longer": lambda: longer_on_one(rank),
        "optimizer": lambda: optimizer_of_one(rank),
        "sharded": sharded,
        "hybrid": hybrid,
        "flat": lambda: flat(False),
        "flat, kept": lambda: flat(True),
        "parallel": parallel,
        "group": lambda: of_a_group(rank),
        "gathered": lambda: gathered(rank),
        "failing": lambda: failing(rank),
        "no group": lambda: no_group(rank),
        "not called": lambda: not_called(rank),
    }
    found = {}
    for name, case in cases.items():
        try:
            found[name] = seen(case())
        except ParamscopeError as error:
            found[name] = {"error": f"{type(error).__name__}: {error}"}
        dist.barrier()
    (folder / f"{rank}.json").write_text(json.dumps(found), encoding="utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
