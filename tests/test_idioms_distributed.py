"""Sharded and replicated models: the cases of `children/distributed.py`, in a process for each number of ranks."""

from __future__ import annotations

import ast
import subprocess
from importlib import import_module
from pathlib import Path

import pytest
import torch
from support import forking

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or "FSDPModule" not in dir(import_module("torch.distributed.fsdp")),
    reason="this torch is not distributed, or has no public fully_shard",
)

CASES = Path(__file__).parent / "children" / "distributed.py"
NAMES = [
    each.name
    for each in ast.parse(CASES.read_text(encoding="utf-8")).body
    if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")
]
# What the cases import takes ten seconds; it is imported once for all of them.
IMPORTED = (
    "hypothesis",
    "torch.distributed._shard.sharded_tensor",
    "torch.distributed.algorithms.ddp_comm_hooks.powerSGD_hook",
    "torch.distributed.device_mesh",
    "torch.distributed.fsdp",
    "torch.distributed.optim",
    "torch.distributed.tensor.parallel",
    "torch.optim.adamw",
    "torch._dynamo",
    "torch.testing._internal.distributed.fake_pg",
)


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A case, or several, in one process."""
    return forking.run_pytest("-p", "no:cacheprovider", *arguments, cwd=cwd, imported=IMPORTED)


@pytest.mark.parametrize("ranks", ["one_rank", "four_ranks"])
def test_the_cases_of(ranks: str) -> None:
    names = [name for name in NAMES if name.endswith(ranks)]
    done = run(*(f"{CASES}::{name}" for name in names))
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    assert f" {len(names)} passed" in done.stdout


def test_each_case_is_of_one_rank_or_of_four() -> None:
    assert len(NAMES) >= 8
    assert all(name.endswith(("_one_rank", "_four_ranks")) for name in NAMES)


def test_a_case_that_fails_is_seen(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert 1 == 2\n", encoding="utf-8")
    done = run("test_it.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "assert 1 == 2" in done.stdout
