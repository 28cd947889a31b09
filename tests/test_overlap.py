"""Spans against brute force over bytes and against numpy: sharing, overlap with itself, bytes covered."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

from paramscope.analysis import overlap
from paramscope.analysis.overlap import Budget, overlaps_itself, share_bytes
from paramscope.analysis.sharing import connected
from paramscope.snapshot import TensorSpec
from paramscope.snapshot.spans import Layout, covered_bytes, layout_of, reached_bytes

Strided = tuple[int, tuple[int, ...], tuple[int, ...], int]
"""Offset, shape and stride in elements, and bytes an element."""


def spec_of(strided: Strided) -> TensorSpec:
    """What a tensor register would say of it."""
    _, shape, stride, itemsize = strided
    numel = int(np.prod(shape, dtype=int))
    return TensorSpec("torch.Tensor", shape, stride, "float32", "cpu", "strided", numel, numel * itemsize)


def layout(strided: Strided) -> Layout | None:
    """Its span."""
    return layout_of(spec_of(strided), strided[0])


def elements(strided: Strided) -> Any:
    """First byte of every element, one for each index."""
    offset, shape, stride, itemsize = strided
    starts = np.array([offset])
    for size, step in zip(shape, stride, strict=True):
        starts = np.add.outer(starts, step * np.arange(size)).ravel()
    return starts * itemsize


def reached(strided: Strided) -> set[int]:
    """Every byte."""
    return {start + i for start in elements(strided).tolist() for i in range(strided[3])}


def draw(rng: random.Random) -> Strided:
    """One to four dimensions, strides from 0, elements of 1 to 16 bytes."""
    dims = rng.randint(0, 4)
    shape = tuple(rng.randint(1, 5) for _ in range(dims))
    stride = tuple(rng.choice((0, 1, 2, 3, 4, 5, 6, 8, 12, 20, 30)) for _ in range(dims))
    return rng.randint(0, 60), shape, stride, rng.choice((1, 2, 4, 8, 16))


def numpy_says(a: Strided, b: Strided) -> bool:
    """`numpy.shares_memory` of the same two views of one buffer."""
    memory = np.zeros(1 << 14, dtype=np.uint8)

    def view(strided: Strided) -> np.ndarray:
        offset, shape, stride, itemsize = strided
        whole = memory[offset * itemsize :]
        # One more dimension for the bytes of an element.
        return as_strided(whole, (*shape, itemsize), (*(step * itemsize for step in stride), 1))

    return bool(np.shares_memory(view(a), view(b)))


def test_three_oracles_agree_on_random_strided_pairs() -> None:
    rng = random.Random(7)
    answers = []
    for _ in range(1_500):
        a, b = draw(rng), draw(rng)
        one, other = layout(a), layout(b)
        assert one is not None
        assert other is not None
        said = share_bytes(one, other)
        assert said is not None, (a, b)
        assert said == share_bytes(other, one) == bool(reached(a) & reached(b)) == numpy_says(a, b), (a, b)
        answers.append(said)
    assert 200 < sum(answers) < 1_300, "both answers are tried"


def test_listing_the_runs_gives_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "_reaches", lambda *_: None)
    rng = random.Random(8)
    for _ in range(500):
        a, b = draw(rng), draw(rng)
        one, other = layout(a), layout(b)
        assert one is not None
        assert other is not None
        assert share_bytes(one, other) == bool(reached(a) & reached(b)), (a, b)


def test_self_overlap_and_reached_bytes_against_brute_force() -> None:
    rng = random.Random(9)
    for _ in range(800):
        strided = draw(rng)
        starts = elements(strided)
        assert overlaps_itself(strided[1], strided[2]) == (len(set(starts)) < len(starts)), strided
        found = layout(strided)
        assert found is not None
        assert reached_bytes(found) >= len(reached(strided))
        if not overlaps_itself(strided[1], strided[2]):
            assert reached_bytes(found) == len(reached(strided)), strided


def test_hard_pairs_of_under_a_million_elements_are_decided() -> None:
    # Steps without a common divisor, and a distance that no combination makes up.
    hard: list[tuple[Strided, Strided]] = [
        ((0, (90, 90, 90), (7919, 10007, 15013), 4), (1, (90, 90), (12011, 17011), 4)),
        ((0, (1000, 900), (4001, 4003), 2), (3, (1000, 900), (4007, 4013), 2)),
        ((0, (31, 31, 31, 31), (101, 211, 307, 401), 8), (50, (31, 31, 31, 31), (103, 223, 311, 409), 8)),
    ]
    for a, b in hard:
        one, other = layout(a), layout(b)
        assert one is not None
        assert other is not None
        firsts, seconds = elements(a), elements(b)
        assert a[3] == b[3]
        # Elements of one size and one alignment share bytes where their first bytes are equal.
        assert share_bytes(one, other) is bool(np.intersect1d(firsts, seconds).size)


def test_past_the_bounds_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "WORK_BOUND", 3)
    monkeypatch.setattr(overlap, "RUN_BOUND", 10)
    one, other = layout((0, (9, 9), (7, 11), 1)), layout((1, (9, 9), (13, 17), 1))
    assert one is not None
    assert other is not None
    assert share_bytes(one, other) is None
    assert overlaps_itself((9, 9), (7, 11)) is None


def test_a_reshaped_or_transposed_view_has_the_same_span() -> None:
    base = torch.zeros(4, 6, 2)
    views = [base, base.transpose(0, 1), base.reshape(-1), base.permute(2, 0, 1), base.view(8, 6)]
    layouts = {layout((int(v.storage_offset()), tuple(v.shape), v.stride(), 4)) for v in views}
    assert len(layouts) == 1
    assert layout((1, (3,), (1,), 4)) != layout((0, (3,), (1,), 4))
    assert layout((0, (0, 3), (3, 1), 4)) is None


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(2, 7))
def test_groups_hang_together_as_brute_force_says(seed: int, count: int) -> None:
    rng = random.Random(seed)
    strided = {layout(s): s for s in (draw(rng) for _ in range(count))}
    layouts = sorted(each for each in strided if each is not None)
    found, undecided = connected(layouts, Budget())
    assert undecided == 0
    groups: list[set[int]] = []
    for i, one in enumerate(layouts):
        touching = [g for g in groups if any(reached(strided[layouts[j]]) & reached(strided[one]) for j in g)]
        for group in touching:
            groups.remove(group)
        groups.append({i}.union(*touching))
    assert sorted(map(sorted, groups)) == sorted(map(sorted, found))


def test_covered_bytes() -> None:
    def of(*strided: Strided) -> int:
        return covered_bytes(each for each in map(layout, strided) if each is not None)

    assert of() == 0
    assert of((0, (4,), (1,), 4)) == 16
    assert of((0, (4,), (1,), 4), (2, (4,), (1,), 4)) == 24
    assert of((0, (4,), (1,), 4), (8, (4,), (1,), 4)) == 32
    assert of((0, (4,), (1,), 4), (0, (4,), (1,), 4)) == 16
    assert of((0, (4,), (2,), 4), (1, (4,), (2,), 4)) == 32, "two interleaved columns"
    assert of((0, (8,), (1,), 4), (1, (3,), (2,), 4)) == 32, "a view within a whole"


def test_many_views_of_one_storage_are_told_apart_without_looking_at_every_pair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    monkeypatch.setattr("paramscope.analysis.sharing.share_bytes", lambda a, b, _: asked.append((a, b)))
    columns = sorted(filter(None, (layout((i, (50,), (3_000,), 4)) for i in range(3_000))))
    assert connected(columns, Budget()) == ([[i] for i in range(3_000)], 0)
    nested = sorted(filter(None, (layout((0, (i + 1,), (1,), 4)) for i in range(3_000))))
    assert connected(nested, Budget()) == ([list(range(3_000))], 0)
    assert asked == []
