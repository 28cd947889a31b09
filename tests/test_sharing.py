"""Which slots meet in memory, on real tensors: tied, aliased, overlapping, co-located, each its own record."""

from __future__ import annotations

import torch
from support.sharing import holder, sharing
from torch import nn


def test_one_tensor_in_two_slots_is_tied() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    assert sharing(model) == [("tied", ("0.weight", "1.weight"), 16)]


def test_two_tensors_over_one_memory_are_aliased_however_they_are_shaped() -> None:
    base = torch.zeros(2, 3)
    assert sharing(holder(a=base, b=base)) == [("aliased", ("a", "b"), 24)]
    assert sharing(holder(a=base, b=base.t())) == [("aliased", ("a", "b"), 24)]
    assert sharing(holder(a=base, b=base.view(6))) == [("aliased", ("a", "b"), 24)]


def test_a_tie_inside_an_alias_is_its_own_record() -> None:
    model = holder(a=(base := torch.zeros(4)), b=base)
    model.c = model.a
    assert sharing(model) == [("aliased", ("a", "b", "c"), 16), ("tied", ("a", "c"), 16)]


def test_spans_that_meet_in_part_overlap() -> None:
    base = torch.zeros(8)
    assert sharing(holder(a=base[:5], b=base[3:])) == [("overlapping", ("a", "b"), 8)]


def test_spans_that_never_meet_are_co_located() -> None:
    base = torch.zeros(6, 2)
    assert sharing(holder(q=base[:2], k=base[2:4], v=base[4:])) == [("co-located", ("q", "k", "v"), 48)]
    assert sharing(holder(left=base[:, 0], right=base[:, 1])) == [("co-located", ("left", "right"), 48)]


def test_interleaved_views_are_decided_exactly() -> None:
    base = torch.zeros(30)
    assert [kind for kind, *_ in sharing(holder(a=base[::2], b=base[1::2]))] == ["co-located"]
    assert [kind for kind, *_ in sharing(holder(a=base[::2], b=base[1::3]))] == ["overlapping"]


def test_overlap_beside_a_stranger_in_the_same_storage() -> None:
    base = torch.zeros(10)
    assert sharing(holder(a=base[:3], b=base[2:5], c=base[7:])) == [
        ("co-located", ("a", "b", "c"), 32),
        ("overlapping", ("a", "b"), 4),
    ]


def test_a_view_kept_as_an_attribute_shares_with_its_parameter() -> None:
    model = nn.Linear(3, 2)
    model.row = model.weight[0].detach()
    assert sharing(model) == [("overlapping", ("weight", "row"), 12)]


def test_meta_and_empty_tensors_are_not_thought_to_share() -> None:
    with torch.device("meta"):
        assert sharing(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))) == []
    assert sharing(holder(a=torch.zeros(0), b=torch.zeros(0))) == []
    base = torch.zeros(4)
    assert sharing(holder(a=base[:0], b=base)) == []
