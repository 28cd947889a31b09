"""Folding: repeated siblings as one row, any difference in view, and every slot back when rows are expanded."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from paramscope import Snapshot, audit
from paramscope.analysis.fold import fold_slots, fold_tree, rows_below, unfolded
from paramscope.text import ranges


def rows(model: nn.Module, **options: object) -> list[str]:
    """Folded rows as `path ×count`, without the empty slots."""
    snapshot = audit(model, **options).snapshot  # type: ignore[arg-type]
    return [
        f"{row.path} ×{len(row.slots)}" for row in fold_slots(snapshot) if snapshot.status(row.slots[0]) != "empty"
    ]


class Block(nn.Module):
    """Two linears and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(2, 4, bias=False)
        self.down = nn.Linear(4, 2, bias=False)
        self.register_buffer("step", torch.zeros(()))


class Stack(nn.Module):
    """Eight blocks between an embedding and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 2)
        self.layers = nn.ModuleList([Block() for _ in range(8)])
        self.head = nn.Linear(2, 5, bias=False)


WHOLE = [
    "embed.weight ×1",
    "layers.[0-7].step ×8",
    "layers.[0-7].up.weight ×8",
    "layers.[0-7].down.weight ×8",
    "head.weight ×1",
]


def test_identical_blocks_are_one() -> None:
    assert rows(Stack()) == WHOLE


def test_nested_repetition_folds_on_both_levels() -> None:
    model = nn.ModuleList([nn.ModuleList([nn.Linear(2, 2, bias=False) for _ in range(3)]) for _ in range(4)])
    assert rows(model) == ["[0-3].[0-2].weight ×12"]


def test_runs_within_a_sequential() -> None:
    model = nn.Sequential(*[nn.Linear(2, 2), nn.ReLU()] * 1, *[nn.Linear(3, 3, bias=False) for _ in range(3)])
    assert rows(model) == ["0.weight ×1", "0.bias ×1", "[2-4].weight ×3"]


def test_dicts_with_numbered_keys_and_hidden_lists() -> None:
    model: Any = nn.Module()
    model.experts = nn.ModuleDict({str(i): nn.Linear(2, 2, bias=False) for i in range(3)})
    model.spare = [nn.Linear(2, 2, bias=False) for _ in range(3)]
    assert rows(model) == ["experts.[0-2].weight ×3", "spare[0-2].weight ×3"]


def _freeze(model: Any) -> None:
    model.layers[5].up.weight.requires_grad_(False)


def _eval(model: Any) -> None:
    model.layers[5].eval()


def _widen(model: Any) -> None:
    model.layers[5].up.weight = nn.Parameter(torch.zeros(5, 2))


def _halve(model: Any) -> None:
    model.layers[5].up.weight.data = model.layers[5].up.weight.data.half()


def _grad(model: Any) -> None:
    model.layers[5].up.weight.grad = torch.zeros(4, 2)


def _tie_outside(model: Any) -> None:
    model.layers[5].down.weight = nn.Parameter(torch.zeros(2, 4))
    model.head = nn.Linear(4, 2, bias=False)
    model.head.weight = model.layers[5].down.weight


def _retype(model: Any) -> None:
    class Other(nn.Linear):
        pass

    model.layers[5].up.__class__ = Other


def _rename(model: Any) -> None:
    model.layers[5]._buffers["steps"] = model.layers[5]._buffers.pop("step")


def _hide(model: Any) -> None:
    model.layers[5]._non_persistent_buffers_set.add("step")


def _empty(model: Any) -> None:
    model.layers[5].up.weight = None


def _add(model: Any) -> None:
    model.layers[5].extra = torch.zeros(2)


UP, STEP = "up.weight", "step"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_freeze, UP),
        (_widen, UP),
        (_halve, UP),
        (_grad, UP),
        (_retype, UP),
        (_tie_outside, "down.weight"),
        (_hide, STEP),
    ],
)
def test_one_field_of_one_block_is_told_apart_in_its_own_rows(change: Callable[[Stack], None], told: str) -> None:
    model = Stack()
    change(model)
    others = [row for row in WHOLE if told not in row]
    assert [row for row in rows(model) if told not in row] == others
    assert [row for row in rows(model) if told in row] == [
        f"layers.[0-4,6-7].{told} ×7",
        f"layers.5.{told} ×1",
    ]


def _half(model: Any) -> None:
    model.layers[5].half()


@pytest.mark.parametrize("change", [_eval, _half])
def test_what_is_true_of_a_whole_block_sets_all_of_it_apart(change: Callable[[Stack], None]) -> None:
    model = Stack()
    change(model)
    assert rows(model) == [
        "embed.weight ×1",
        *(row.replace("0-7", "0-4,6-7").replace("8", "7") for row in WHOLE[1:4]),
        *(row.replace("[0-7]", "5").replace("8", "1") for row in WHOLE[1:4]),
        "head.weight ×1",
    ]


def test_a_slot_that_one_block_has_alone_is_a_row_more_and_one_that_it_lacks_a_smaller_row() -> None:
    model = Stack()
    _add(model)
    assert sorted({*rows(model)} - {*WHOLE}) == ["layers.5.extra ×1"]
    assert {*WHOLE} <= {*rows(model)}
    model = Stack()
    _rename(model)
    assert sorted({*rows(model)} - {*WHOLE}) == ["layers.5.steps ×1", "layers.[0-4,6-7].step ×7"]
    model = Stack()
    _empty(model)
    assert sorted({*rows(model)} - {*WHOLE}) == ["layers.[0-4,6-7].up.weight ×7"]


def test_one_expert_of_one_layer() -> None:
    model: Any = nn.ModuleList(
        [
            nn.ModuleDict({"experts": nn.ModuleList([Block() for _ in range(6)]), "norm": nn.LayerNorm(2)})
            for _ in range(8)
        ]
    )
    model[3]["experts"][4].up.weight.requires_grad_(False)
    assert [row for row in rows(model) if "step" not in row and "bias" not in row] == [
        "[0-2,4-7].experts.[0-5].up.weight ×42",
        "[0-2,4-7].experts.[0-5].down.weight ×42",
        "3.experts.[0-3,5].up.weight ×5",
        "3.experts.4.up.weight ×1",
        "3.experts.[0-5].down.weight ×6",
        "[0-7].norm.weight ×8",
    ]


def test_a_tie_of_another_pattern_in_one_block() -> None:
    model: Any = nn.ModuleList([nn.ModuleList([nn.Linear(2, 2, bias=False) for _ in range(4)]) for _ in range(5)])
    for i, block in enumerate(model):
        block[1].weight = block[0].weight
        block[3].weight = block[2].weight
        if i == 2:
            block[1].weight, block[2].weight = block[3].weight, block[0].weight
    assert rows(model) == [f"{block}.{i}.weight ×{n}" for i in range(4) for block, n in (("[0-1,3-4]", 4), ("2", 1))]


def test_what_an_optimizer_holds_is_part_of_the_signature() -> None:
    model = Stack()
    optimizer = torch.optim.SGD(
        [{"params": list(model.layers[:2].parameters())}, {"params": list(model.layers[2:].parameters())}], lr=0.1
    )
    found = rows(model, optimizer=optimizer)
    assert "layers.[0-1].up.weight ×2" in found
    assert "layers.[2-7].up.weight ×6" in found


def test_a_tie_within_each_block_folds_and_a_tie_across_blocks_too() -> None:
    inside: Any = Stack()
    for block in inside.layers:
        block.down = nn.Linear(2, 4, bias=False)
        block.down.weight = block.up.weight
    assert rows(inside) == WHOLE
    across: Any = Stack()
    for block in across.layers:
        block.up.weight = across.layers[0].up.weight
    assert rows(across) == WHOLE


def test_a_tie_in_some_blocks_only_unfolds() -> None:
    model: Any = Stack()
    for block in model.layers[:3]:
        block.down = nn.Linear(2, 4, bias=False)
        block.down.weight = block.up.weight
    for block in model.layers[3:]:
        block.down = nn.Linear(2, 4, bias=False)
    assert "layers.[0-2].up.weight ×3" in rows(model)
    assert "layers.[3-7].up.weight ×5" in rows(model)


def test_several_roots_stay_apart() -> None:
    report = audit({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    assert [row.path for row in fold_slots(report.snapshot)] == ["a.weight", "a.bias", "b.weight", "b.bias"]


def expanded(path: str) -> list[str]:
    """The paths that a folded path stands for, among modules that are named by numbers alone."""
    match = re.search(r"\[([\d,:-]+)\]", path)
    if match is None:
        return [path]
    numbers = []
    for part in match[1].split(","):
        span, _, step = part.partition(":")
        first, dash, last = span.partition("-")
        numbers += list(range(int(first), int(last) + 1, int(step or 1))) if dash else [int(first)]
    before, after = path[: match.start()], path[match.end() :]
    return [f"{before}{number}{rest}" for number in numbers for rest in expanded(after)]


@st.composite
def models(draw: st.DrawFn) -> nn.Module:
    """Trees of lists and sequentials over few kinds of leaves, with some frozen and some tied."""

    def tree(depth: int) -> nn.Module:
        if depth == 0 or draw(st.booleans()):
            leaf = draw(st.sampled_from([(2, 2, True), (2, 2, False), (3, 2, True)]))
            return nn.Linear(leaf[0], leaf[1], bias=leaf[2])
        children = [tree(depth - 1) for _ in range(draw(st.integers(1, 4)))]
        if draw(st.booleans()):
            # Alike, but for what is drawn below.
            children += [copy.deepcopy(draw(st.sampled_from(children))) for _ in range(draw(st.integers(1, 4)))]
        kind = draw(st.sampled_from(["list", "sequential", "dict"]))
        if kind == "dict":
            return nn.ModuleDict(dict(zip("abcdefgh", children, strict=False)))
        return nn.ModuleList(children) if kind == "list" else nn.Sequential(*children)

    model = nn.ModuleList([tree(draw(st.integers(1, 3)))])
    for module in list(model.modules()):
        if draw(st.integers(0, 9)) == 0:
            module.training = False
        if draw(st.integers(0, 9)) == 0:
            module.register_buffer("step", torch.zeros(draw(st.integers(1, 2))))
    for parameter in model.parameters():
        if draw(st.integers(0, 4)) == 0:
            parameter.requires_grad_(False)
    linears = [m for m in model.modules() if isinstance(m, nn.Linear)]
    for module in linears:
        if draw(st.integers(0, 5)) == 0:
            module.weight = draw(st.sampled_from(linears)).weight
    return model


@settings(max_examples=150, deadline=None, derandomize=True)
@given(models())
def test_expanding_the_rows_gives_back_every_slot_and_like_is_with_like(model: nn.Module) -> None:
    report = audit(model)
    found = fold_slots(report.snapshot)
    assert sorted(slot for row in found for slot in row.slots) == list(range(len(report.slots)))
    for row in found:
        assert len({report.slots.at(slot)[9:24] for slot in row.slots}) == 1
        assert len(set(row.slots)) == len(row.slots)
        paths = [report.slots.path_at(slot) for slot in row.slots]
        if len(row.slots) == 1:
            assert row.path == paths[0]
        # The folded path says exactly which they are.
        assert sorted(expanded(row.path)) == sorted(paths)
    assert [row.path for row in unfolded(report.snapshot)] == list(report.slots)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(models(), st.data())
def test_some_slots_fold_as_if_there_were_no_others(model: nn.Module, data: st.DataObject) -> None:
    snapshot = audit(model).snapshot
    paths = list(snapshot.slots)
    wanted = data.draw(st.sets(st.sampled_from(range(len(paths))))) if paths else set()
    if data.draw(st.booleans()):
        wanted = {slot for slot in wanted if paths[slot].endswith("weight")}
    nodes = fold_tree(snapshot, None, wanted)
    assert sorted(slot for row in rows_below(nodes) for slot in row.slots) == sorted(wanted)
    for row in rows_below(nodes):
        assert sorted(expanded(row.path)) == sorted(paths[slot] for slot in row.slots)
    modules = list(snapshot.modules)
    holding = {
        modules[above]
        for slot in wanted
        for module in (snapshot.slot_columns.modules[slot],)
        for above in (module, *snapshot.tree.above(module))
    }
    pending, named = list(nodes), []
    while pending:
        node = pending.pop()
        assert sorted(expanded(node.path)) == sorted(modules[module] for module in node.modules)
        named += expanded(node.path)
        pending.extend(node.children)
    # A node is of no module without any of them, but for the root.
    assert set(named) - set(snapshot.roots) == holding - set(snapshot.roots)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([], ""),
        ([3], "3"),
        ([0, 1, 2], "0-2"),
        ([0, 1, 3, 4], "0-1,3-4"),
        ([0, 2, 4, 6], "0-6:2"),
        ([0, 2], "0,2"),
        ([0, 1, 2, 9], "0-2,9"),
        ([1, 5, 6, 7], "1,5-7"),
    ],
)
def test_ranges(numbers: list[int], expected: str) -> None:
    assert ranges(numbers) == expected


@st.composite
def flips(draw: st.DrawFn) -> tuple[int, int, list[tuple[str, str]]]:
    """(number of blocks, which of them, names of its slots of which the first is flipped)."""
    count = draw(st.integers(3, 80))
    names = [("outer", "inner"), ("outer", "other"), ("second", "inner"), ("third", "far"), ("third", "inner")]
    return count, draw(st.integers(0, count - 1)), draw(st.permutations(names))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(flips())
def test_whatever_one_slot_of_one_block_flips_only_its_row_is_split(
    flip: tuple[int, int, list[tuple[str, str]]],
) -> None:
    count, which, names = flip

    def block() -> nn.Module:
        made = nn.Module()
        for outer, inner in names:
            if not hasattr(made, outer):
                made.add_module(outer, nn.Module())
            made.get_submodule(outer).register_parameter(inner, nn.Parameter(torch.zeros(2)))
        return made

    model = nn.Module()
    model.layers = nn.ModuleList([block() for _ in range(count)])
    before = rows(model)
    outer, inner = names[0]
    model.layers[which].get_submodule(outer).get_parameter(inner).requires_grad_(False)
    after = rows(model)
    rest = [number for number in range(count) if number != which]
    assert {*after} - {*before} == {
        f"layers.[{ranges(rest)}].{outer}.{inner} ×{count - 1}",
        f"layers.{which}.{outer}.{inner} ×1",
    }
    assert {*before} - {*after} == {f"layers.[0-{count - 1}].{outer}.{inner} ×{count}"}


def steps_of(work: Callable[[], object]) -> int:
    """How many instructions Python runs for some work, which is the same on every machine."""
    count = 0

    def step(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def all_different(count: int) -> Snapshot:
    """Siblings each of which differs from each in one of eleven fields, so that all are held against one another."""
    model = nn.ModuleList()
    for i in range(1, count):
        block = nn.Module()
        for bit in range(11):
            block.register_parameter(f"p{bit}x", nn.Parameter(torch.zeros(1), requires_grad=bool(i >> bit & 1)))
        model.append(block)
    return audit(model).snapshot


def test_many_siblings_of_which_no_two_are_alike_are_each_told_once() -> None:
    snapshot = all_different(2_000)
    found = fold_slots(snapshot)
    assert sorted(slot for row in found for slot in row.slots) == list(range(len(snapshot.slots)))


def test_many_siblings_of_which_no_two_are_alike_take_linear_time() -> None:
    few, many = (all_different(count) for count in (200, 400))
    assert steps_of(lambda: fold_slots(many)) < 2.5 * steps_of(lambda: fold_slots(few))
