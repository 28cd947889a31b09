"""Two storages over one memory, self-overlap, copy-on-write, wasted bytes: what torch itself cannot see."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.sharing import holder, sharing
from torch import nn

from paramscope import audit, capture
from paramscope.analysis.overlap import Budget

_C: Any = torch._C


def test_two_parameters_from_one_numpy_array() -> None:
    array = np.zeros((4, 3), dtype=np.float32)
    model: Any = holder(a=torch.from_numpy(array), b=torch.from_numpy(array))
    assert sharing(model) == [("aliased", ("a", "b"), 48)]
    report = audit(model)
    a, b = (report.slots[name].storage for name in "ab")
    # Two storages, one memory: torch cannot know, and adds the bytes up.
    assert a != b
    assert a is not None
    assert b is not None
    assert [(s.memory, s.start) for s in map(report.snapshot.storage, (a, b))] == [(a, 0), (a, 0)]
    assert report.totals.nbytes == 48
    with torch.no_grad():
        model.a.fill_(7)
    assert model.b.eq(7).all()


def test_parts_of_one_numpy_array() -> None:
    array = np.zeros(12, dtype=np.float32)
    one, other = torch.from_numpy(array[:8]), torch.from_numpy(array[4:])
    assert sharing(holder(a=one, b=other)) == [("overlapping", ("a", "b"), 16)]
    report = audit(holder(a=other, b=one))
    # The memory begins where the lower of the two does, whichever is met first.
    assert [report.snapshot.storage(i).start for i in (0, 1)] == [16, 0]
    assert report.totals.nbytes == 48
    # Next to each other is not over each other.
    apart = holder(a=torch.from_numpy(array[:6]), b=torch.from_numpy(array[6:]))
    assert sharing(apart) == []
    assert audit(apart).totals.nbytes == 48


def test_interleaved_columns_of_one_numpy_array_share_nothing() -> None:
    array = np.zeros((5, 2), dtype=np.float32)
    columns = holder(left=torch.from_numpy(array[:, 0]), right=torch.from_numpy(array[:, 1]))
    assert sharing(columns) == [("co-located", ("left", "right"), 40)]


def test_a_tensor_and_the_numpy_array_made_from_it() -> None:
    base = torch.zeros(6)
    assert sharing(holder(a=base, b=torch.from_numpy(base.numpy()[2:]))) == [("overlapping", ("a", "b"), 16)]


def test_a_chain_of_three() -> None:
    array = np.zeros(10, dtype=np.float32)
    model = holder(a=torch.from_numpy(array[:5]), b=torch.from_numpy(array[5:]), c=torch.from_numpy(array[3:7]))
    assert sharing(model) == [("overlapping", ("a", "b", "c"), 16)]


def test_a_memory_mapped_file(tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(bytes(64))
    mapped = np.memmap(file, dtype=np.float32, mode="r+")
    assert sharing(holder(a=torch.from_numpy(mapped), b=torch.from_numpy(mapped[4:]))) == [
        ("overlapping", ("a", "b"), 48)
    ]
    # Two maps of one file are two memories, as far as addresses tell.
    ours = [torch.from_file(str(file), shared=True, size=16) for _ in range(2)]
    assert sharing(holder(a=ours[0], b=ours[1])) == []


def test_tensors_of_one_safetensors_file(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    file = str(tmp_path / "weights.safetensors")
    safetensors.save_file({"a": torch.zeros(3), "b": torch.ones(4)}, file)
    loaded = safetensors.load_file(file)
    assert sharing(holder(**loaded)) == []


def test_a_frombuffer_over_a_buffer() -> None:
    memory = (ctypes.c_float * 8)()
    one = torch.frombuffer(memory, dtype=torch.float32)
    other = torch.frombuffer(memory, dtype=torch.float32, offset=8)
    model = nn.Module()
    model.weight = nn.Parameter(one)
    model.register_buffer("state", other)
    assert sharing(model) == [("overlapping", ("weight", "state"), 24)]


def test_storages_of_torch_s_own_are_not_asked_for_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr("paramscope.capture.register.meeting_storages", refuse)
    audit(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    with pytest.raises(AssertionError, match="asked"):
        audit(holder(a=torch.from_numpy(np.zeros(3, dtype=np.float32))))


def test_copy_on_write_tensors_stay_so_and_share_nothing() -> None:
    base = torch.zeros(4)
    lazy = torch._lazy_clone(base)
    model = nn.Module()
    model.register_buffer("a", base)
    model.register_buffer("b", lazy)
    # With borrowed memory beside them, addresses are asked for, but not theirs.
    model.register_buffer("c", torch.from_numpy(np.zeros(3, dtype=np.float32)))
    assert _C._is_cow_tensor(model.b)
    assert sharing(model) == []
    assert _C._is_cow_tensor(model.a)
    assert _C._is_cow_tensor(model.b)


def test_meta_and_fake_storages_have_no_address() -> None:
    model = nn.Sequential(nn.Linear(2, 2, device="meta"), nn.Linear(2, 2, device="meta"))
    model.c = torch.from_numpy(np.zeros(3, dtype=np.float32))
    assert sharing(model) == []


@pytest.mark.parametrize(
    ("view", "nbytes"),
    [
        (lambda t: t[:4].expand(3, 4), 32),
        (lambda t: t.as_strided((3, 2), (1, 1)), 8),
        (lambda t: t.as_strided((2, 3), (2, 1)), 4),
        (lambda t: t.as_strided((4,), (0,)), 12),
        # Rows and columns at every second element: 5 distinct ones of 9.
        (lambda t: torch.zeros(9).as_strided((3, 3), (2, 2)), 16),
    ],
)
def test_a_parameter_that_overlaps_itself(view: Any, nbytes: int) -> None:
    model = holder(w=view(torch.zeros(5)))
    report = audit(model)
    assert [(s.kind, s.slots, s.nbytes) for s in report.sharing] == [("self-overlapping", ("w",), nbytes)]
    assert report.totals.nbytes + nbytes == report.slots["w"].nbytes


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t,
        lambda t: t.view(3, 4).t(),
        lambda t: t.view(1, 12).expand(1, 12),
        lambda t: t.as_strided((2, 3), (7, 2)),
        lambda t: t[:0].expand(5, 0),
        lambda t: t[0].expand(1, 1),
    ],
)
def test_one_that_does_not(view: Any) -> None:
    assert sharing(holder(w=view(torch.zeros(12)))) == []


def test_wasted_bytes_are_what_a_checkpoint_would_hold_for_nothing() -> None:
    base = torch.zeros(1000)
    model = holder(head=base[:10], tail=base[990:])
    model.register_buffer("cache", base[500:600], persistent=False)
    model.kept = base[:500]
    (storage,) = {report_slot.storage for report_slot in audit(model).slots.records()}
    assert storage is not None
    record = audit(model).snapshot.storage(storage)
    assert (record.nbytes, record.saved, record.wasted) == (4000, 80, 3920)
    # What is not saved at all wastes nothing.
    alone = nn.Module()
    alone.register_buffer("cache", base[:1], persistent=False)
    assert (audit(alone).snapshot.storage(0).saved, audit(alone).snapshot.storage(0).wasted) == (None, 0)


def test_saved_bytes_are_those_that_torch_saves() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    snapshot = audit(model).snapshot
    storages = [snapshot.storage(i) for i in range(len(snapshot.storage_columns.nbytes))]
    assert sum(s.saved or 0 for s in storages) == sum(t.nbytes for t in model.state_dict().values())
    assert {s.wasted for s in storages} == {0}


def test_a_hundred_thousand_views_of_one_storage() -> None:
    base = torch.zeros(100_000)
    model = nn.Module()
    for i, view in enumerate(base):
        model._buffers[f"b{i}"] = view
    assert [(r.kind, len(r.slots)) for r in capture(model).sharing] == [("co-located", 100_000)]
    model.weight = nn.Parameter(base)
    assert [(r.kind, len(r.slots), r.nbytes) for r in capture(model).sharing] == [("overlapping", 100_001, 400_000)]


def test_what_was_not_decided_is_said_and_a_search_costs_no_more_than_its_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Coprime strides that interleave over a storage of terabytes: each pair would take a second, and all together
    are given a tenth of what is allowed."""
    allowed = 300_000
    monkeypatch.setattr(Budget.__init__, "__defaults__", (allowed,))
    take = Budget.take
    spent: dict[Budget, int] = {}
    refused: list[int] = []

    def counted(self: Budget, work: int) -> bool:
        is_granted = take(self, work)
        spent[self] = spent.get(self, 0) + work * is_granted
        if not is_granted:
            refused.append(work)
        return is_granted

    monkeypatch.setattr(Budget, "take", counted)
    base = torch.empty(1 << 40, device="meta")
    searches = []
    for count in (20, 40):
        model = nn.Module()
        for i in range(count):
            view = base.as_strided((700, 701, 709), (104729 + 2 * i, 1299709 + 2 * i, 15485863 + 2 * i), i)
            setattr(model, f"w{i}", nn.Parameter(view))
        spent.clear()
        refused.clear()
        report = audit(model)
        assert {note.kind for note in report.snapshot.notes} == {"overlap"}
        assert report.totals.parameters == count * 700 * 701 * 709
        assert refused
        assert 0 < max(spent.values()) <= allowed
        searches.append(len(spent))
    # Four times as many pairs, and no more budgets.
    assert searches[0] == searches[1]
