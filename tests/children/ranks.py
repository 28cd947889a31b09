"""What each of four ranks does, started by torchrun: `torchrun --nproc-per-node 4 ranks.py FOLDER`.

Each case runs on every rank; what a rank saw it writes to FOLDER, for `test_ranks.py` to judge.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.pipelining import PipelineStage, ScheduleGPipe
from torch.distributed.tensor import DTensor, Shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

from paramscope import Report, audit, capture
from paramscope.analysis import across
from paramscope.errors import ParamscopeError
from paramscope.rules.discovery import discover

CODES = [each.rule.code for each in discover().rules if each.rule.needs == "ranks"]


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
        "differences": [
            [
                kind,
                path,
                [
                    [[rank for first, last in spans for rank in range(first, last + 1)], words]
                    for spans, words in said
                ],
            ]
            for kind, path, said in (ranks.differences if ranks else ())
        ],
        "findings": [[each.code, each.message, each.paths] for each in report.findings if each.code >= "PS8"],
        "skipped": [[*each] for each in report.skipped if each.code >= "PS8"],
        "parameters": report.totals.parameters,
        "together": ranks.parameters if ranks else None,
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


def betas_of_one(rank: int) -> Report:
    model = net()
    return audit(
        model, optimizer=torch.optim.Adam(model.parameters(), betas=(0.9, 0.99 - rank // 3 / 10)), ranks=True
    )


def reordered_on_one(rank: int) -> Report:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    return audit(nn.ModuleDict({"b": second, "a": first} if rank == 1 else {"a": first, "b": second}), ranks=True)


def stages(rank: int) -> Report:
    model = nn.ModuleDict({str(at): nn.Linear(3, 3) for at in (2 * (rank // 2), 2 * (rank // 2) + 1)})
    return audit(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1), ranks=True)


def experts(rank: int) -> Report:
    model = nn.ModuleDict({"gate": nn.Linear(3, 3), "expert" + str(rank): nn.Linear(3, 3)})
    return audit(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1), ranks=True)


def documented(code: str, part: str) -> Report:
    (loaded,) = (each for each in discover().rules if each.rule.code == code)
    section = loaded.doc.partition(f"\n{part}\n```python\n")[2].partition("```")[0]
    made: dict[str, Any] = {}
    exec(section, made)
    return audit(made["model"], optimizer=made.get("optimizer"), ranks=True, values=True)


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


def planes() -> DeviceMesh:
    return init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))


class Block(nn.Module):
    """Two layers that tensor parallelism cuts, and a norm that it leaves whole, as in BLOOM."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.down(self.up(self.norm(inputs)).relu())


CUTS = {"up": ColwiseParallel(), "down": RowwiseParallel()}


def cut_both_ways() -> nn.Module:
    """FSDP2 over tensor parallelism, after a step."""
    torch.manual_seed(0)
    mesh = planes()
    model: Any = parallelize_module(Block(), mesh["tp"], dict(CUTS))
    fully_shard(model, mesh=mesh["dp"])
    step(model)
    return model


def step(model: nn.Module) -> None:
    torch.manual_seed(dist.get_rank() // 2)  # ranks of one replica see the same
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(4, 8)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def sharded_twice() -> Report:
    model = cut_both_ways()
    return audit(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1), ranks=True, values=True)


def diverged(rank: int, how: str) -> Report:
    """One replica of rank 2's is another than those of the other ranks, by a bit."""
    torch.manual_seed(0)
    if how == "ddp":
        model: Any = DistributedDataParallel(Block())
        held = model.module.up.weight
    elif how == "hsdp":
        model = Block()
        fully_shard(model, mesh=init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicate", "shard")))
        held = model.up.weight.to_local()
    elif how == "norm":
        model = parallelize_module(Block(), init_device_mesh("cpu", (4,), mesh_dim_names=("tp",)), dict(CUTS))
        held = model.norm.weight
    else:
        model = parallelize_module(Block(), init_device_mesh("cpu", (4,), mesh_dim_names=("tp",)), dict(CUTS))
        held = model.down.bias.to_local()
    if rank == 2:
        with torch.no_grad():
            held.view(torch.int32).view(-1)[0] ^= 1
    return audit(model, ranks=True, values=True)


def clean_values(how: str) -> Report:
    """Wrapped, trained for two steps, and alike wherever it should be."""
    torch.manual_seed(0)
    model: Any = Block()
    if how == "ddp":
        model = DistributedDataParallel(nn.Sequential(model, nn.BatchNorm1d(8)))
    elif how == "flat":
        model = FullyShardedDataParallel(model, device_id=torch.device("cpu"), use_orig_params=True)
    elif how == "hybrid":
        fully_shard(model, mesh=init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicate", "shard")))
    elif how == "parallel":
        model = parallelize_module(model, init_device_mesh("cpu", (4,), mesh_dim_names=("tp",)), dict(CUTS))
    for _ in range(2):
        torch.manual_seed(0 if how == "parallel" else dist.get_rank())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(torch.randn(4, 8)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return audit(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1), ranks=True, values=True)


def moved_and_back(steps: int, *, moved: bool = True) -> Report:
    """pytorch #104336: on another kind of device, and back, each parameter is another one."""
    torch.manual_seed(0)
    model = DistributedDataParallel(Block())
    if moved:
        kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        model.to_empty(device="meta")
        model.to_empty(device="cpu").load_state_dict(kept)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(dist.get_rank())
    for _ in range(steps):
        model(torch.randn(4, 8)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return audit(model, optimizer=optimizer, ranks=True, values=True)


def statistics_of_one(rank: int) -> Report:
    """Below FSDP each rank keeps its own."""
    torch.manual_seed(0)
    model: Any = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))
    fully_shard(model, mesh=init_device_mesh("cpu", (4,)))
    model(torch.randn(4, 8) + (rank == 2))
    return audit(model, ranks=True, values=True)


class Stage(nn.Module):
    """The first or the second half of a model whose head is tied to its embedding."""

    def __init__(self, *, first: bool) -> None:
        super().__init__()
        self.all_tied_weights_keys = {"head.weight": "embed.weight"}
        self.embed = nn.Embedding(8, 8) if first else None
        self.block = nn.Linear(8, 8)
        self.head = None if first else nn.Linear(8, 8, bias=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        inputs = inputs if self.embed is None else self.embed(inputs)
        inputs = self.block(inputs)
        return inputs if self.head is None else self.head(inputs)


def pipeline(rank: int, *, tied: bool) -> Report:
    """torch's own pipeline in two stages, run once on ranks 0 and 1, and on 2 and 3."""
    first = rank % 2 == 0
    groups = [dist.new_group([0, 1]), dist.new_group([2, 3])]
    module: nn.Module = (
        Stage(first=first) if tied else nn.Sequential(OrderedDict({f"half{rank % 2}": nn.Linear(8, 8)}))
    )
    given = torch.arange(8).view(8, 1) if tied else torch.randn(8, 8)
    placed = PipelineStage(module, rank % 2, 2, torch.device("cpu"), group=groups[rank // 2])
    schedule = ScheduleGPipe(placed, n_microbatches=2, loss_fn=lambda output, target: (output - 1).sum())
    if first:
        schedule.step(given)
    else:
        schedule.step(target=torch.zeros(8, 8))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    optimizer.step()
    return audit(module, optimizer=optimizer, ranks=groups[rank // 2], values=True)


def seeds(rank: int, *, of_all: bool) -> Report:
    """Models that nothing wraps: all of it made of other random numbers, or the experts alone, as they should be."""
    torch.manual_seed(rank if of_all else 0)
    gate = nn.Linear(8, 8)
    torch.manual_seed(rank)
    return audit(nn.ModuleDict({"gate": gate, "expert": nn.Linear(8, 8)}), ranks=True, values=True)


def ignored_by_ddp(rank: int) -> Report:
    """Each rank has an expert of its own, which DistributedDataParallel leaves alone; and what is frozen stays so."""
    torch.manual_seed(0)
    model: Any = nn.ModuleDict({"frozen": nn.Linear(8, 8), "gate": nn.Linear(8, 8)})
    model["frozen"].requires_grad_(requires_grad=False)
    torch.manual_seed(rank)
    model["expert"] = nn.Linear(8, 8)
    names = [f"expert.{name}" for name in ("weight", "bias")]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, names)
    # Two layers are looked at twice: what is in them, and what others have; the expert once.
    read: list[tuple[int, int]] = []
    wrapped = DistributedDataParallel(model)
    capture(wrapped, values=True, progress=lambda done, total: read.append((done, total)))
    assert read[5:] == [(216, 216), (64, 144), (72, 144), (136, 144), (144, 144)], read
    return audit(wrapped, ranks=True, values=True)


def shards_of_zeros() -> Report:
    mesh = init_device_mesh("cpu", (4,), mesh_dim_names=("tp",))
    model = nn.Linear(8, 8, bias=False)
    model.weight = nn.Parameter(DTensor.from_local(torch.zeros(2, 8), mesh, [Shard(0)]))
    return audit(model, ranks=True, values=True)


def small_and_uncut() -> Report:
    model = nn.Sequential(nn.Embedding(64, 64), nn.Linear(64, 64))
    fully_shard(model[1], mesh=init_device_mesh("cpu", (4,)))
    return audit(model, ranks=True, values=True)


def uncut_on_one(rank: int) -> Report:
    """Rank 2 forgets the root."""
    mesh = init_device_mesh("cpu", (4,))
    model = nn.Sequential(nn.Embedding(65_536, 64), nn.Linear(64, 64))
    fully_shard(model[1], mesh=mesh)
    if rank != 2:
        fully_shard(model, mesh=mesh)
    return audit(model, ranks=True)


def mixed_on_one(rank: int) -> Report:
    mesh = init_device_mesh("cpu", (4,), mesh_dim_names=("tp",))
    model = nn.Linear(8, 8)
    if rank == 2:
        model.weight = nn.Parameter(DTensor.from_local(torch.ones(2, 8), mesh, [Shard(0)], run_check=False))
    return audit(model, ranks=True)


def on_meta_elsewhere(rank: int) -> Report:
    """Rank 0 loads, and hands to the others what they hold none of yet."""
    if rank == 0:
        return audit(net(), ranks=True, values=True)
    with torch.device("meta"):
        return audit(net(), ranks=True, values=True)


def optimizer_elsewhere(rank: int) -> Report:
    model = net()
    return audit(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1) if rank else None, ranks=True)


def other_version(rank: int, of: str) -> Report:
    module: Any = across if of == "paramscope" else torch
    kept = module.__version__
    try:
        module.__version__ = "2.4.0" if rank == 3 else kept
        return audit(net(), ranks=True)
    finally:
        module.__version__ = kept


def interrupted(rank: int) -> Report:
    """Ctrl-C on one rank, while it waits for another one."""
    if rank == 2:
        return audit(net())
    if rank == 1:
        threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
    return audit(net(), ranks=True, timeout=2.0)


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
        "betas": lambda: betas_of_one(rank),
        "order": lambda: reordered_on_one(rank),
        "stages": lambda: stages(rank),
        "experts": lambda: experts(rank),
        **{f"{code} {part}": partial(documented, code, part) for code in CODES for part in ("Example", "Instead")},
        "optimizer": lambda: optimizer_of_one(rank),
        "sharded": sharded,
        "hybrid": hybrid,
        "flat": lambda: flat(False),
        "flat, kept": lambda: flat(True),
        "parallel": parallel,
        "sharded twice": sharded_twice,
        **{f"diverged {how}": partial(diverged, rank, how) for how in ("ddp", "hsdp", "norm", "bias")},
        **{f"values {how}": partial(clean_values, how) for how in ("ddp", "flat", "hybrid", "parallel")},
        "moved": lambda: moved_and_back(0),
        "moved on one": lambda: moved_and_back(0, moved=rank == 2),
        "statistics": lambda: statistics_of_one(rank),
        "moved, trained": lambda: moved_and_back(20),
        "pipeline": lambda: pipeline(rank, tied=False),
        "pipeline, tied": lambda: pipeline(rank, tied=True),
        "seeds": lambda: seeds(rank, of_all=True),
        "seeds of experts": lambda: seeds(rank, of_all=False),
        "ignored by ddp": lambda: ignored_by_ddp(rank),
        "shards of zeros": shards_of_zeros,
        "small and uncut": small_and_uncut,
        "uncut on one": lambda: uncut_on_one(rank),
        "mixed on one": lambda: mixed_on_one(rank),
        "meta": lambda: on_meta_elsewhere(rank),
        "optimizer of some": lambda: optimizer_elsewhere(rank),
        "paramscope": lambda: other_version(rank, "paramscope"),
        "torch": lambda: other_version(rank, "torch"),
        "group": lambda: of_a_group(rank),
        "gathered": lambda: gathered(rank),
        "failing": lambda: failing(rank),
        "no group": lambda: no_group(rank),
        "not called": lambda: not_called(rank),  # from here on, ranks do not count alike
        "interrupted": lambda: interrupted(rank),
    }
    found = {}
    for name, case in cases.items():
        try:
            found[name] = seen(case())
        except (ParamscopeError, KeyboardInterrupt) as error:
            found[name] = {"error": f"{type(error).__name__}: {error}"}
        dist.barrier()
    (folder / f"{rank}.json").write_text(json.dumps(found), encoding="utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
