"""`python -m benchmarks.ranks`, and part of all benchmarks: what it takes to ask ranks together, four real ones and
4,096 that are made up; the checksums of values; and a plan beside torch's fake group."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.testing._internal.distributed.fake_pg import FakeStore

from benchmarks.seconds import Job
from paramscope import Snapshot, audit, capture
from paramscope.analysis.across import Rank, Said, below, merged, ranks_of, speakers
from paramscope.capture.checksums import checksums
from paramscope.snapshot import Ranks

_RANKS = 4
_MANY = 4_096
_WORDS = 1 << 26
"""Elements that are summed up: 256 MiB, more than any cache holds."""


def rank_jobs(repeats: int, *, is_quick: bool) -> list[Job]:
    """Every job, each run so many times."""
    extra, nbytes = _of_four(repeats)
    apart = float(_started("plan"))
    taken = [simulated(_MANY) for _ in range(1 if is_quick else min(repeats, 3))]
    seconds = [each.seconds for each in taken]
    held = "`audit(ranks=True)` of GPT-2 on 4 ranks"
    return [
        Job(f"{held}, beside `audit`", "ms more", 50.0, statistics.median(extra), (min(extra), max(extra))),
        Job(f"{held}, what a rank tells", "bytes a slot", 64.0, nbytes, (nbytes, nbytes)),
        Job(
            '`report.plan("fsdp=64")` of GPT-2, beside torch\'s fake group of 64 ranks',
            "bytes apart",
            0.0,
            apart,
            (apart, apart),
        ),
        Job("checksums of 256 MiB", "× numpy's sum of it", 2.0, *_checksums(repeats)),
        Job(
            f"{_MANY:,} ranks of GPT-2 in turn, some of them different",
            "s",
            10.0,
            statistics.median(seconds),
            (min(seconds), max(seconds)),
        ),
    ]


class Simulated(NamedTuple):
    """What ranks that are made up told one another."""

    ranks: Ranks
    seconds: float
    """Of all ranks, one after the other."""
    most_read: int
    """Answers that one rank reads, at most."""
    largest: int
    """Bytes of the largest answer, as it is sent."""


def simulated(size: int) -> Simulated:
    """Ranks of GPT-2: one has a frozen layer, one another layer norm, and the last 64 are in half precision."""
    seen = _kinds()
    start = time.perf_counter()
    told = [Rank(seen[_kind_of(rank, size)], rank) for rank in range(size)]
    summary, largest = _up([each.summary for each in told])
    few = speakers(summary)
    said, in_full = _up([told[rank].in_full(summary) for rank in few])
    ranks = ranks_of(summary, said)
    seconds = time.perf_counter() - start
    most = max(len(below(at, size)) for at in range(size))
    return Simulated(ranks, seconds, most, max(largest, in_full))


def _kind_of(rank: int, size: int) -> str:
    return "half" if rank >= size - 64 else {7: "frozen", size // 2: "norm"}.get(rank, "usual")


def _kinds() -> dict[str, Snapshot]:
    found = {}
    for kind in ("usual", "frozen", "norm", "half"):
        model = _gpt2()
        block = model.get_submodule("transformer.h.3")
        if kind == "frozen":
            block.requires_grad_(requires_grad=False)
        elif kind == "norm":
            block.ln_1 = nn.LayerNorm(1)
        elif kind == "half":
            model.half()
        found[kind] = capture(model)
    return found


def _up(answers: list[Said]) -> tuple[Said, int]:
    """What all say together, as they tell one another; and bytes of the largest answer."""
    largest = 0
    for at in reversed(range(len(answers))):
        answers[at] = merged(answers[each] for each in (at, *below(at, len(answers))))
        if at % 64 == 0:  # those that stand for most
            largest = max(largest, len(zlib.compress(json.dumps(answers[at]).encode())))
    return answers[0], largest


def _gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    with torch.device("meta"):
        return GPT2LMHeadModel(GPT2Config())


def _checksums(repeats: int) -> tuple[float, tuple[float, float]]:
    """(median, least and greatest) of the ratios of what checksums and numpy's sum take in turn."""
    whole = torch.randn(_WORDS)
    array = whole.numpy()
    ratios = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        checksums([whole])
        between = time.perf_counter()
        np.sum(array)
        ratios.append((between - start) / (time.perf_counter() - between))
    del ratios[0]
    return statistics.median(ratios), (min(ratios), max(ratios))


def _of_four(repeats: int) -> tuple[list[float], float]:
    """(milliseconds more that an audit of all ranks takes, bytes that each tells of a slot)."""
    launch = ["torch.distributed.run", "--nproc-per-node", str(_RANKS), "--rdzv-backend", "c10d"]
    launch += ["--rdzv-endpoint", "localhost:0", "-m"]
    extra, nbytes = json.loads(_started("four", str(repeats), by=launch))
    return extra, nbytes


def _started(*arguments: str, by: Sequence[str] = ()) -> str:
    """What this module prints as a program of its own; by: the module that starts it."""
    done = subprocess.run(
        [sys.executable, "-m", *by, "benchmarks.ranks", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return done.stdout


def _on_one_rank(repeats: int) -> None:
    """What one of the four does; the first prints."""
    dist.init_process_group("gloo")
    model = _gpt2()
    extra = []
    for _ in range(repeats + 1):
        taken = []
        for ranks in (False, True):
            dist.barrier()
            start = time.perf_counter()
            report = audit(model, ranks=ranks)
            taken.append(time.perf_counter() - start)
        extra.append(1000 * (taken[1] - taken[0]))
    if dist.get_rank() == 0:
        told = zlib.compress(json.dumps(Rank(report.snapshot, 0).summary).encode())
        print(json.dumps([extra[1:], len(told) / report.totals.slots]))
    dist.destroy_process_group()


def _plan_beside_a_fake_group() -> None:
    """Prints by how many bytes a plan is wrong of what `fully_shard` makes, on the ranks where it is most."""
    planned = audit(_gpt2()).plan("fsdp=64")
    apart = 0
    for rank in range(64):
        dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=64)
        model: Any = _gpt2()
        fully_shard(model, mesh=init_device_mesh("cpu", (64,)))
        local = [each.to_local() for each in model.parameters()]
        apart = max(apart, abs(planned.on(rank).parameters - sum(each.nbytes for each in local)))
        dist.destroy_process_group()
    print(apart)


if __name__ == "__main__":
    if not sys.argv[1:]:
        print("| what | at most | measured |\n| --- | ---: | ---: |")
        for each in rank_jobs(7, is_quick=False):
            spread = f"{each.spread[0]:.3g} to {each.spread[1]:.3g}"
            print(f"| {each.what} | {each.limit:g} {each.unit} | {each.measured:.3g} ({spread}) |")
    elif sys.argv[1] == "plan":
        _plan_beside_a_fake_group()
    else:
        _on_one_rank(int(sys.argv[2]))
