"""What several ranks say, as one: in a tree, however many they are, and from files that they have saved."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.targets import run
from torch import nn

from paramscope import Report, Snapshot, audit, capture
from paramscope.analysis.across import Rank, Said, below, merged, ranks_of, speakers, together
from paramscope.capture.checksums import checksums
from paramscope.errors import RanksError
from paramscope.snapshot import Checksums, numbers_in


def net(hidden: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, hidden), nn.Linear(hidden, 2))


def up_a_tree(answers: list[Said]) -> Said:
    """As the ranks tell one another: each what it says, and what those below it say."""
    for at in reversed(range(len(answers))):
        answers[at] = merged(answers[each] for each in (at, *below(at, len(answers))))
    return answers[0] if answers else {}


def asked(seen: list[Snapshot]) -> Snapshot:
    """The first, with what all of them hold, as if each were a rank."""
    told = [Rank(each, rank) for rank, each in enumerate(seen)]
    summary = up_a_tree([each.summary for each in told])
    few = speakers(summary)
    return seen[0].with_ranks(ranks_of(summary, up_a_tree([told[rank].in_full(summary) for rank in few])))


@given(st.integers(1, 300))
def test_each_rank_is_below_one_other(size: int) -> None:
    above = [each for at in range(size) for each in below(at, size)]
    assert sorted(above) == list(range(1, size))
    assert max(len(below(at, size)) for at in range(size)) <= size.bit_length()


@settings(max_examples=30)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=70))
def test_a_tree_of_ranks_says_what_all_say_at_once(kinds: list[int]) -> None:
    seen = [SEEN[kind] for kind in kinds]
    assert asked(seen) == together(enumerate(seen))
    ranks = asked(seen).ranks
    assert ranks is not None
    assert bool(ranks.differences) == (len(set(kinds)) > 1)
    for difference in ranks.differences:
        every = sorted(rank for spans, _ in difference.said for rank in numbers_in(spans))
        assert every == list(range(len(kinds)))
        assert len({words for _, words in difference.said}) > 1


def of_kinds() -> list[Snapshot]:
    frozen, longer = net(), net(hidden=5)
    frozen[1].requires_grad_(requires_grad=False)
    return [capture(net()), capture(frozen), capture(longer), capture(nn.Sequential(net(), nn.Linear(2, 2)))]


SEEN = of_kinds()


def test_thousands_of_ranks_are_told_as_few() -> None:
    kinds = [0] * 4_096
    kinds[7], kinds[2_048] = 1, 2
    snapshot = asked([SEEN[kind] for kind in kinds])
    assert snapshot.ranks is not None
    said = {each.path: each.said for each in snapshot.ranks.differences}
    assert said["1.bias"] == ((((0, 6), (8, 4_095)), "trainable 2 float32 cpu"), (((7, 7),), "frozen 2 float32 cpu"))
    assert said["0.bias"][1] == (((2_048, 2_048),), "trainable 5 float32 cpu")
    assert len(snapshot.ranks.records) == 4_096
    usual = "; ".join(words for spans, words in said["0.bias"] if (0, 2_047) in spans)
    assert usual == "trainable 4 float32 cpu"


def with_codes(*codes: tuple[str, str], kind: str = "replica", ranks: tuple[int, ...] = (0, 1, 2)) -> Snapshot:
    """A rank's snapshot, as if these were its checksums."""
    facts = SEEN[0]._facts()
    return Snapshot(**{**facts, "checksums": (Checksums(kind, ranks, "the mesh dp", codes),)})  # type: ignore[arg-type]


def test_only_what_differs_is_told_of_values() -> None:
    usual = with_codes(("0.weight", "aa"), ("0.bias", "bb"))
    snapshot = asked([usual, with_codes(("0.weight", "aa"), ("0.bias", "cc")), usual])
    assert snapshot.ranks is not None
    ((kind, path, said),) = snapshot.ranks.differences
    assert (kind, path) == ("replica", "0.bias")
    assert said == ((((0, 0), (2, 2)), "bb"), (((1, 1),), "cc"))


def test_ranks_of_another_replica_are_not_compared() -> None:
    low, high = (with_codes(("0.weight", code), ranks=ranks) for code, ranks in (("aa", (0, 1)), ("bb", (2, 3))))
    assert together(enumerate([low, low, high, high])).ranks.differences == ()  # type: ignore[union-attr]


def test_what_several_things_keep_alike_is_all_compared() -> None:
    """The same ranks, once by DistributedDataParallel, and once by a mesh."""

    def of_two(code: str) -> Snapshot:
        facts = SEEN[0]._facts()
        one = Checksums("replica", (0, 1), "DistributedDataParallel", (("0.weight", code),))
        other = Checksums("replica", (0, 1), "the mesh dp", (("1.weight", "bb"),))
        return Snapshot(**{**facts, "checksums": (one, other)})

    ((_, path, _),) = asked([of_two("aa"), of_two("cc")]).ranks.differences  # type: ignore[union-attr]
    assert path == "0.weight"


def test_shards_are_told_where_they_are_alike() -> None:
    apart = [with_codes(("0.weight", code), kind="shard") for code in ("aa", "bb", "cc")]
    assert asked(apart).ranks.differences == ()  # type: ignore[union-attr]
    ((kind, path, said),) = asked([apart[0], apart[1], apart[0]]).ranks.differences  # type: ignore[union-attr]
    assert (kind, path, said) == ("shard", "0.weight", ((((0, 0), (2, 2)), "aa"),))


DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.complex64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 7, 70_001, 600_003])
def test_a_single_bit_changes_a_checksum(size: int, dtype: torch.dtype) -> None:
    torch.manual_seed(size)
    whole = (100 * torch.randn(size)).to(dtype)
    (before,) = checksums([whole])
    assert checksums([whole.clone()]) == [before]
    raw = whole.view(torch.uint8)
    for at in (0, raw.numel() // 2, raw.numel() - 1):
        for bit in (1, 128):
            raw[at] ^= bit
            assert checksums([whole]) != [before]
            raw[at] ^= bit
    assert checksums([whole]) == [before]


def test_progress_of_checksums_counts_elements_up_to_all() -> None:
    read: list[tuple[int, int]] = []
    checksums([torch.ones(3), torch.ones(2, 2)], lambda done, total: read.append((done, total)))
    assert read == [(3, 7), (7, 7)]


def test_a_checksum_is_of_elements_and_their_order() -> None:
    whole = torch.randn(300, 700)
    assert checksums([whole.t()]) == checksums([whole.t().contiguous()])
    assert checksums([whole[:, 1:]]) == checksums([whole[:, 1:].clone()])
    swapped = whole[torch.tensor([1, 0, *range(2, 300)])]
    assert checksums([swapped]) != checksums([whole])
    assert checksums([torch.zeros(3)]) != checksums([torch.zeros(4)])
    # Larger than what is looked at in one piece.
    large = torch.randn(2_500, 2_500)
    assert checksums([large.t()]) == checksums([large.t().contiguous()]) != checksums([large])


def saved(folder: Path, name: str, report: Report) -> str:
    path = folder / name
    path.write_text(report.to_json(), encoding="utf-8")
    return str(path)


def test_merge(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    frozen = net()
    frozen[0].requires_grad_(requires_grad=False)
    files = [saved(tmp_path, f"rank{rank}.json", audit(frozen if rank == 10 else net())) for rank in (0, 2, 10)]
    assert run("merge", *files) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "ranks [0,2,10] each hold 26 parameters" in shown
    assert "PS801 rank-mismatch" in shown
    assert "rank[10].0.weight is frozen 4×3 float32 cpu; on ranks 0,2: trainable 4×3 float32 cpu." in shown
    job = str(tmp_path / "job.json")
    assert run("merge", *files, "-o", job) == 0
    assert run("check", job) == 1
    assert "rank[10].0.weight" in capsys.readouterr().out
    assert run("merge", *files[:2], "-f", "summary") == 0


def test_what_cannot_be_merged(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    one, nameless = saved(tmp_path, "rank0.json", audit(net())), saved(tmp_path, "first.json", audit(net()))
    other = tmp_path / "more"
    other.mkdir()
    again = saved(other, "rank0.json", audit(net()))
    for files, problem in {
        (one, nameless): f"{nameless} does not say which rank has saved it",
        (one, again): f"{one} and {again} are both of rank 0",
        (one, str(tmp_path / "none1.json")): "none1.json",
    }.items():
        assert run("merge", *files) == 2
        assert problem in capsys.readouterr().err
    assert run("merge") == 2
    assert run("merge", one, "-f", "pdfx") == 2


def test_reports_of_other_versions_are_not_merged() -> None:
    facts = SEEN[0]._facts()
    old = Snapshot(**{**facts, "torch_version": "2.4.0"})
    with pytest.raises(
        RanksError, match=r"different versions of torch: 2.* on rank 0; 2.* on rank 1|2.4.0 on rank 1"
    ):
        together([(0, SEEN[0]), (1, old)])


TRAIN = """
import torch, torch.distributed as dist
from torch import nn

def build():
    dist.init_process_group("gloo")
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(dist.get_rank() == 0)
    return model

def plain():
    return nn.Linear(2, 2)
"""


def test_check_on_all_ranks(tmp_path: Path) -> None:
    """One answer, whoever made the process group; and an exit code on every rank."""
    (tmp_path / "train.py").write_text(TRAIN)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    launch += ["--rdzv-endpoint", "localhost:0", "-m", "paramscope"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = {
        command: subprocess.run(
            [*launch, *command.split(), "--ranks"],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        for command in ("check train.py:build", "inspect train.py:plain")
    }
    found = done["check train.py:build"]
    assert found.returncode == 1
    assert found.stdout.count("rank-mismatch") == 1
    assert "on rank" in found.stdout
    shown = done["inspect train.py:plain"]
    assert shown.returncode == 0, shown.stderr[-2000:]
    assert shown.stdout.count("ranks [0-1] each hold 6 parameters") == 1


def test_check_ranks_without_a_launcher(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    monkeypatch.chdir(tmp_path)
    assert run("check", "train.py:plain", "--ranks") == 2
    told = capsys.readouterr().err
    assert "this process was not started by torchrun" in told
    assert "torchrun --nproc-per-node 4 -m paramscope check" in told
