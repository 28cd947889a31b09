"""Ranks, asked together: four real processes that torchrun starts, and what each of them saw (children/ranks.py)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from paramscope import audit
from paramscope.errors import RanksError
from paramscope.rules.discovery import discover

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or "FSDPModule" not in dir(import_module("torch.distributed.fsdp")),
    reason="this torch is not distributed, or has no public fully_shard",
)
RULES = [each.rule.code for each in discover().rules if each.rule.needs == "ranks"]
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
BLOCK = 296
"""Elements of its block."""


CLEAN = ["clean", "sharded", "hybrid", "flat", "flat, kept", "parallel", "sharded twice"]
NEAR_MISSES = ["ignored by ddp", "shards of zeros", "small and uncut"]
TRAINED = ["values ddp", "values flat", "values hybrid", "values parallel"]


@pytest.mark.parametrize("case", [*CLEAN, *NEAR_MISSES, *TRAINED])
def test_ranks_that_agree(case: str, seen: list[dict[str, Any]]) -> None:
    answers = [each[case] for each in seen]
    assert all("error" not in each for each in answers), answers
    assert [each["differences"] for each in answers] == [[]] * RANKS
    assert all(each["records"] == answers[0]["records"] for each in answers)
    assert [each["rank"] for each in answers[0]["records"]] == list(range(RANKS))
    assert "ranks differ" not in answers[0]["text"]
    assert [each["findings"] for each in answers] == [[]] * RANKS


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
    # A norm of 16, a layer cut by columns, one by rows, whose bias is whole; each halved again by FSDP.
    assert held("sharded twice") == [(16 + (8 * 16 + 16) // 2 + 16 * 8 // 2 + 8) // 2] * RANKS
    # Logical counts are the whole model's on every rank.
    for case in ("clean", "sharded", "hybrid", "flat", "flat, kept"):
        assert [each[case]["parameters"] for each in seen] == [WHOLE] * RANKS
    for case in ("sharded twice", "values parallel", "values hybrid"):
        assert [each[case]["parameters"] for each in seen] == [BLOCK] * RANKS


def test_a_rank_that_differs_is_named(seen: list[dict[str, Any]]) -> None:
    for each in seen:
        assert each["frozen"]["differences"] == [
            ["slot", "1.bias", [[[0, 1, 3], "trainable 3 float32 cpu"], [[2], "frozen 3 float32 cpu"]]]
        ]
    text = " ".join(seen[1]["frozen"]["text"].split())
    assert "ranks differ: 1.bias: ranks [0-1,3] trainable 3 float32 cpu; rank [2] frozen 3 float32 cpu" in text
    assert "ranks [0-3] each hold 109 parameters, 468 B, 9 slots" in text


def test_shapes_and_slots_that_differ(seen: list[dict[str, Any]]) -> None:
    found = {path: said for _, path, said in seen[3]["longer"]["differences"]}
    assert list(found) == ["0.weight", "0.bias", "3.weight", "3.bias"]
    assert found["0.weight"] == [[[0, 2, 3], "trainable 10×6 float32 cpu"], [[1], "trainable 11×6 float32 cpu"]]
    assert found["3.bias"] == [[[0, 1, 2], ""], [[3], "trainable 3 float32 cpu"]]
    assert "ranks [0-2] do not have it" in " ".join(seen[3]["longer"]["text"].split())


def test_optimizers_that_differ(seen: list[dict[str, Any]]) -> None:
    found = {(kind, path): said for kind, path, said in seen[0]["optimizer"]["differences"]}
    assert list(found) == [("member", "2.bias"), ("group", "optimizer[0].groups[0]")]
    assert found["member", "2.bias"] == [[[0, 2, 3], "0:0"], [[1], ""]]
    assert [ranks for ranks, _ in found["group", "optimizer[0].groups[0]"]] == [[0, 2], [1], [3]]
    told = {message: paths for code, message, paths in seen[2]["optimizer"]["findings"] if code == "PS803"}
    assert told == {
        "rank[1].2.bias is in no group; on ranks 0,2-3: in group 0:0.": ["rank[1].2.bias"],
        "rank[1].optimizer[0].groups[0] is 5 slots; on ranks 0,2: 6 slots.": ["rank[1].optimizer[0].groups[0]"],
        "rank[3].optimizer[0].groups[0] is lr=0.2; on ranks 0,2: lr=0.1.": ["rank[3].optimizer[0].groups[0]"],
    }


def test_options_that_differ_are_told_whole(seen: list[dict[str, Any]]) -> None:
    ((code, message, _),) = seen[0]["betas"]["findings"]
    assert code == "PS803"
    assert message == "rank[3].optimizer[0].groups[0] is betas=(0.9, 0.89); on ranks 0-2: betas=(0.9, 0.99)."


def test_each_finding_names_its_rank(seen: list[dict[str, Any]]) -> None:
    for each in seen:
        assert each["frozen"]["findings"] == [
            [
                "PS801",
                "rank[2].1.bias is frozen 3 float32 cpu; on ranks 0-1,3: trainable 3 float32 cpu.",
                ["rank[2].1.bias"],
            ]
        ]
        codes = {code for code, _, _ in each["longer"]["findings"]}
        paths = {path for _, _, paths in each["longer"]["findings"] for path in paths}
        assert codes == {"PS801"}
        assert paths == {"rank[1].0.weight", "rank[1].0.bias", "rank[3].3.weight", "rank[3].3.bias"}
        ((code, message, paths_of_order),) = each["order"]["findings"]
        assert (code, paths_of_order) == ("PS801", ["rank[1]"])
        assert "in another order than ranks 0,2-3: b.weight first, there a.weight first" in message


@pytest.mark.parametrize("case", ["stages", "experts"])
def test_parts_that_ranks_have_for_themselves_are_no_mismatch(case: str, seen: list[dict[str, Any]]) -> None:
    for each in seen:
        assert each[case]["differences"]
        assert each[case]["findings"] == []
        assert [code for code, _ in each[case]["skipped"]] == ["PS801"]


def of_rank_2(case: str, seen: list[dict[str, Any]]) -> list[Any]:
    """The findings of a case, which every rank is told alike."""
    assert all(each[case]["findings"] == seen[0][case]["findings"] for each in seen)
    return list(seen[0][case]["findings"])


@pytest.mark.parametrize(
    ("how", "path", "agreeing"),
    [
        ("ddp", "module.up.weight", "ranks 0-1,3"),
        ("hsdp", "up.weight", "rank 0"),  # ranks 1 and 3 have the other half
        ("norm", "norm.weight", "ranks 0-1,3"),
        ("bias", "down.bias", "ranks 0-1,3"),
    ],
)
def test_a_replica_that_differs_by_a_bit_is_named(
    how: str, path: str, agreeing: str, seen: list[dict[str, Any]]
) -> None:
    ((code, message, paths),) = of_rank_2(f"diverged {how}", seen)
    assert (code, paths) == ("PS802", [f"rank[2].{path}"])
    assert message.startswith(f"rank[2].{path} holds other values than on {agreeing}: ")


def test_what_is_moved_to_another_kind_of_device_and_back(seen: list[dict[str, Any]]) -> None:
    ((code, message, paths),) = of_rank_2("moved", seen)
    assert code == "PS804"
    assert len(paths) == 6
    assert "has no hook on their gradients" in message
    codes = {code for code, _, _ in of_rank_2("moved, trained", seen)}
    assert codes == {"PS802", "PS804"}
    ((code, message, paths),) = of_rank_2("moved on one", seen)
    assert code == "PS804"
    assert message.startswith("rank[2].module.norm.weight, rank[2].module.norm.bias, ")
    assert all(path.startswith("rank[2].module.") for path in paths)


@pytest.mark.parametrize(
    ("case", "code", "path"), [("uncut on one", "PS807", "0.weight"), ("mixed on one", "PS808", "weight")]
)
def test_what_is_cut_otherwise_on_one_rank(case: str, code: str, path: str, seen: list[dict[str, Any]]) -> None:
    for rank, each in enumerate(seen):
        found = {code: paths for code, _, paths in each[case]["findings"]}
        assert found["PS801"] == [f"rank[2].{path}"]
        assert (code in found) == (rank == 2)


def test_statistics_of_one_rank(seen: list[dict[str, Any]]) -> None:
    ((code, message, paths),) = of_rank_2("statistics", seen)
    assert (code, paths[0]) == ("PS806", "rank[2].1.running_mean")
    assert "other values than on ranks 0-1,3" in message


def test_models_made_of_other_random_numbers(seen: list[dict[str, Any]]) -> None:
    ((code, message, paths),) = of_rank_2("seeds", seen)
    assert code == "PS805"
    assert message.startswith(
        "Every trainable tensor, such as rank[1-3].gate.weight, holds other values than on rank 0"
    )
    assert paths == [f"rank[{rank}].gate.weight" for rank in (1, 2, 3)]
    assert of_rank_2("seeds of experts", seen) == []


def test_a_pipeline_in_two_stages(seen: list[dict[str, Any]]) -> None:
    assert [each["pipeline"]["findings"] for each in seen] == [[]] * RANKS
    assert [each["pipeline"]["parameters"] for each in seen] == [72] * RANKS
    assert [each["pipeline"]["together"] for each in seen] == [144] * RANKS
    assert "together they hold 144 parameters" in seen[0]["pipeline"]["text"]
    for rank, each in enumerate(seen):
        ((code, message, paths),) = each["pipeline, tied"]["findings"]
        assert (code, paths) == ("PS809", ["head.weight", "embed.weight"])
        low = rank // 2 * 2
        assert f"lie on rank {low + 1} and rank {low}: perhaps" in message


def test_ranks_whose_model_is_still_on_meta(seen: list[dict[str, Any]]) -> None:
    for each in seen:
        assert each["meta"]["findings"] == []
        assert each["meta"]["skipped"] == [
            ["PS801", "ranks do not all have elements yet, as rank 0 shows: devices were not compared"]
        ]


def test_ranks_that_were_given_other_optimizers(seen: list[dict[str, Any]]) -> None:
    for each in seen:
        assert each["optimizer of some"]["findings"] == []
        assert each["optimizer of some"]["skipped"] == [
            ["PS803", "no optimizer was given on rank 0, and one was on others"]
        ]


@pytest.mark.parametrize("of", ["paramscope", "torch"])
def test_ranks_with_other_versions(of: str, seen: list[dict[str, Any]]) -> None:
    told = [each[of]["error"] for each in seen]
    assert all(f"RanksError: ranks have different versions of {of}: " in each for each in told)
    assert all("on rank 3" in each and "on ranks 0-2" in each for each in told)


@pytest.mark.parametrize("code", RULES)
def test_the_examples_of_the_rules(code: str, seen: list[dict[str, Any]]) -> None:
    for each in seen:
        assert {found for found, _, _ in each[f"{code} Example"]["findings"]} == {code}
        assert each[f"{code} Instead"]["findings"] == []


def test_rules_of_ranks_are_not_asked_of_one(seen: list[dict[str, Any]]) -> None:
    report = audit(nn.Linear(2, 2))
    assert not [each for each in report.skipped if each.code.startswith("PS8")]


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


def test_a_rank_that_is_interrupted(seen: list[dict[str, Any]]) -> None:
    told = [each["interrupted"].get("error", "") for each in seen]
    assert told[1].startswith("KeyboardInterrupt")
    assert told[2] == ""
    assert all(told[rank].startswith("RanksError: rank 2 did not come within 2 seconds") for rank in (0, 3))


def test_what_is_no_group_is_refused(seen: list[dict[str, Any]]) -> None:
    assert all(each["no group"]["error"].startswith("RanksError: ranks is of class str") for each in seen)


def test_without_a_process_group() -> None:
    with pytest.raises(RanksError, match="no process group is initialized") as raised:
        audit(nn.Linear(2, 2), ranks=True)
    assert "torchrun" in raised.value.advice
    assert audit(nn.Linear(2, 2)).ranks == ()
