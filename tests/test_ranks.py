"""Ranks, asked together: four real processes that torchrun starts, and what each of them saw (children/ranks.py)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from paramscope import audit
from paramscope.errors import RanksError

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch is not distributed")
CHILD = Path(__file__).parent / "children" / "ranks.py"
RANKS = 4


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """By rank, what it saw in each case."""
    folder = tmp_path_factory.mktemp("ranks")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(RANKS)]
    done = subprocess.run(
        [*launch, "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", str(CHILD), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(RANKS)]


WHOLE = 109
"""Elements of the child's net."""


@pytest.mark.parametrize("case", ["clean", "sharded", "hybrid", "flat", "flat, kept", "parallel"])
def test_ranks_that_agree(case: str, seen: list[dict[str, Any]]) -> None:
    answers = [each[case] for each in seen]
    assert all("error" not in each for each in answers), answers
    assert [each["differences"] for each in answers] == [[]] * RANKS
    assert all(each["records"] == answers[0]["records"] for each in answers)
    assert [each["rank"] for each in answers[0]["records"]] == list(range(RANKS))
    assert "ranks differ" not in answers[0]["text"]


def test_what_each_rank_holds(seen: list[dict[str, Any]]) -> None:
    def held(case: str) -> list[int]:
        return [each["parameters"] for each in seen[0][case]["records"]]

    assert held("clean") == [WHOLE] * RANKS
    # Rows in four parts: 10 as 3, 3, 3, 1; 3 as 1, 1, 1, 0.
    assert held("sharded") == [34, 34, 34, 7]
    assert sum(held("sharded")) == sum(held("hybrid")[:2]) == WHOLE
    assert held("hybrid")[:2] == held("hybrid")[2:]
    assert sum(held("flat, kept")) == WHOLE
    assert sum(held("flat")) >= WHOLE  # and what evens the shards out
    assert held("parallel") == [(8 * 8 + 8) // 4 + 8 * 8 // 4 + 8] * RANKS
    # Logical counts are the whole model's on every rank.
    for case in ("clean", "sharded", "hybrid"):
        assert [each[case]["parameters"] for each in seen] == [WHOLE] * RANKS


def test_a_rank_that_differs_is_named(seen: list[dict[str, Any]]) -> None:
    for each in seen:
        assert each["frozen"]["differences"] == [
            ["1.bias", [[[0, 1, 3], "trainable 3 float32 cpu"], [[2], "frozen 3 float32 cpu"]]]
        ]
    text = " ".join(seen[1]["frozen"]["text"].split())
    assert "ranks differ: 1.bias: ranks [0-1,3] trainable 3 float32 cpu; ranks [2] frozen 3 float32 cpu" in text
    assert "each of ranks [0-3] holds 109 parameters, 468 B, 9 slots" in text


def test_shapes_and_slots_that_differ(seen: list[dict[str, Any]]) -> None:
    found = dict(seen[3]["longer"]["differences"])
    assert list(found) == ["0.weight", "0.bias", "3.weight", "3.bias"]
    assert found["0.weight"] == [[[0, 2, 3], "trainable 10×6 float32 cpu"], [[1], "trainable 11×6 float32 cpu"]]
    assert found["3.bias"] == [[[0, 1, 2], ""], [[3], "trainable 3 float32 cpu"]]
    assert "ranks [0-2] do not have it" in " ".join(seen[3]["longer"]["text"].split())


def test_optimizers_that_differ(seen: list[dict[str, Any]]) -> None:
    found = dict(seen[0]["optimizer"]["differences"])
    assert list(found) == ["2.bias", "optimizer[0].groups[0]"]
    assert found["2.bias"][1] == [[1], "trainable 3 float32 cpu"]
    assert [ranks for ranks, _ in found["optimizer[0].groups[0]"]] == [[0, 2], [1], [3]]
    assert "lr=0.2" in found["optimizer[0].groups[0]"][2][1]


def test_a_group_asks_its_own_ranks(seen: list[dict[str, Any]]) -> None:
    assert [[record["rank"] for record in each["group"]["records"]] for each in seen] == [
        [0, 1],
        [0, 1],
        [2, 3],
        [2, 3],
    ]
    assert [len(each["group"]["differences"]) for each in seen] == [0, 0, 1, 1]


def test_one_rank_alone_is_told(seen: list[dict[str, Any]]) -> None:
    assert [len(each["gathered"]["records"]) for each in seen] == [0, RANKS, 0, 0]


def test_a_rank_that_fails_tells_the_others(seen: list[dict[str, Any]]) -> None:
    told = [each["failing"]["error"] for each in seen]
    assert told[1].startswith("NotAModule: ")
    assert all(told[rank].startswith("RanksError: the audit failed on rank 1: NotAModule: ") for rank in (0, 2, 3))


def test_a_rank_that_does_not_come_is_named(seen: list[dict[str, Any]]) -> None:
    told = [each["not called"].get("error", "") for each in seen]
    assert told[2] == ""
    assert all(told[rank].startswith("RanksError: rank 2 did not come within 1.5 seconds") for rank in (0, 1, 3))


def test_what_is_no_group_is_refused(seen: list[dict[str, Any]]) -> None:
    assert all(each["no group"]["error"].startswith("RanksError: ranks is of class str") for each in seen)


def test_without_a_process_group() -> None:
    with pytest.raises(RanksError, match="no process group is initialized") as raised:
        audit(nn.Linear(2, 2), ranks=True)
    assert "torchrun" in raised.value.advice
    assert audit(nn.Linear(2, 2)).ranks == ()
