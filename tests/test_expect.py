"""`expect` called directly: what holds, what is refused, and what it says of models that differ."""

from __future__ import annotations

import io
import json
import pickle
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from paramscope import Report, audit, capture
from paramscope.analysis.changes import (
    KINDS,
    Changes,
    SlotState,
    State,
    change_lines,
    changes_between,
    state_of,
)
from paramscope.analysis.paths import fold_paths
from paramscope.errors import NotAModule, NotAnOptimizer
from paramscope.snapshot import Status
from paramscope.testing import ExpectationError, expect
from paramscope.testing.memory import CURRENT_MEMORY
from paramscope.wire.lock import Locked, from_plain, to_plain


class Tied(nn.Module):
    """83 parameters (20 of them tied, 3 trainable), 1 buffer element, and 6 that are hidden."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.norm = nn.LayerNorm(3, bias=False)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("step", torch.zeros(1))
        self.requires_grad_(False)
        self.norm.requires_grad_(True)
        self.idle = nn.Identity()
        self.adapters = [nn.Linear(2, 2)]


def refused(*args: Any, **keywords: Any) -> str:
    """What an AssertionError says."""
    with pytest.raises(AssertionError) as caught:
        expect(*args, **keywords)
    return str(caught.value)


def test_what_holds_gives_the_report() -> None:
    model = Tied()
    optimizer = torch.optim.SGD(model.norm.parameters())
    report = expect(
        model,
        trainable=3,
        total=range(80, 90),
        hidden=6,
        frozen=["embed.*", "layers.*", "head.weight"],
        trainable_only=("norm.*",),
        tied=[{"head.weight", "embed.weight"}],
        optimizer=optimizer,
        stepped="all-trainable",
    )
    assert report == audit(model, optimizer=optimizer)
    assert expect(report, trainable=3, stepped={"norm.weight"}) is report
    assert expect(report, optimizer=optimizer, stepped=["norm.*"]) is report
    assert expect(capture(model), total=83) == Report(capture(model))
    assert expect({"a": nn.Linear(1, 1), "b": nn.Linear(1, 1)}, total=4, tied=[]).totals.parameters == 4


def test_every_unmet_expectation_is_in_one_message() -> None:
    message = refused(Tied(), trainable=4, total=84, hidden=0, frozen=["*"], trainable_only=["head.*"], tied=[])
    for keyword in ("trainable", "total", "hidden", "frozen", "trainable_only", "tied"):
        assert any(line.startswith(keyword) for line in message.splitlines())
    assert len(message.splitlines()) <= 22


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"trainable": 23}, "off by -20: exactly embed.weight (frozen)"),
        ({"trainable": 19}, "off by -16: exactly one of layers.[0-2].weight ×3 (frozen)"),
        ({"trainable": 63}, "off by -60: exactly layers.* (frozen)"),
        ({"trainable": 9}, "off by -6: exactly adapters[0].* (hidden: no registered parameter)"),
        ({"total": 103}, "off by -20: exactly head.weight (tied, and counted once)"),
        ({"total": 84}, "off by -1: exactly step (no parameter but a buffer)"),
        ({"total": 23}, "off by +60: exactly layers.*"),
        ({"total": 71}, "off by +12: exactly layers.[0-2].bias ×3"),
        ({"total": 63}, "off by +20: exactly embed.weight"),
        ({"total": 82}, "found 83, off by +1"),
        ({"total": range(0, 83, 2)}, "expected 0 to 82 in steps of 2, found 83"),
        ({"total": range(200, 100, -1)}, "expected 101 to 200, found 83"),
    ],
)
def test_a_count_names_what_accounts_for_the_difference(keywords: dict[str, Any], said: str) -> None:
    first = refused(Tied(), **keywords).splitlines()[0]
    assert first.endswith(said)


@pytest.mark.parametrize(
    ("glob", "said"),
    [
        ("layer.*", "near it: layers.*"),
        ("idle", "it is a module, and no parameter lies in it"),
        ("step", "step is a buffer slot, no registered parameter"),
        ("norm.bias", "norm.bias is an empty slot, no registered parameter"),
        ("adapters*", "adapters[0].weight is a hidden slot, no registered parameter"),
        ("*.qqqq", "`*` crosses dots: 'encoder.*', '*.bias'"),
    ],
)
@pytest.mark.parametrize("keyword", ["frozen", "trainable_only"])
def test_a_glob_that_matches_nothing_fails(keyword: str, glob: str, said: str) -> None:
    wanted = {"frozen": ["embed.*"], "trainable_only": ["norm.*"]}[keyword]
    message = refused(Tied(), **{keyword: [*wanted, glob]})
    assert message.startswith(f"{keyword}: {glob!r} matches no parameter; {said}")
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("head.wieght", "near it: head.weight"),
        ("head", "it is a module, name one of its parameters"),
        ("step", "step is a buffer slot, no registered parameter"),
        ("qqqqqqq", "it takes paths, such as 'lm_head.weight'"),
    ],
)
def test_a_path_that_does_not_exist_cannot_be_tied(path: str, said: str) -> None:
    message = refused(Tied(), tied=[{"embed.weight", "head.weight", path}])
    assert message.startswith(f"tied: there is no parameter {path!r}; {said}")
    assert len(message.splitlines()) == 1


def test_ties_are_compared_group_by_group() -> None:
    model = Tied()
    model.layers[1].weight = model.layers[2].weight = model.layers[0].weight
    pair = {"embed.weight", "head.weight"}
    assert refused(model, tied=[pair]).splitlines()[1:] == ["  tied  layers.[0-2].weight ×3 (one tensor)"]
    weights = [f"layers.{i}.weight" for i in range(3)]
    expect(model, tied=[pair, weights[:2], weights[1:]])
    assert refused(model, tied=[pair, weights[:2]]).startswith("tied: 1 tie not expected")
    biases = {"layers.0.bias", "layers.1.bias"}
    assert refused(model, tied=[pair, weights, biases]).splitlines() == [
        "tied: 1 expected tie missing",
        "  not tied  layers.[0-1].bias ×2 (one tensor)",
    ]


def test_what_is_hidden_can_be_stepped() -> None:
    model = Tied()
    optimizer = torch.optim.SGD([*model.norm.parameters(), *model.adapters[0].parameters()])
    expect(model, optimizer=optimizer, stepped="all-trainable")
    expect(model, optimizer=optimizer, stepped=["norm.*", "adapters*"])
    assert "stepped  adapters[0].bias (2, 2 elements)" in refused(model, optimizer=optimizer, stepped=["norm.*"])


def test_strangers_in_an_optimizer_fold() -> None:
    model = Tied()
    optimizer = torch.optim.SGD([*model.norm.parameters(), *(nn.Parameter(torch.zeros(2)) for _ in range(4))])
    assert refused(model, optimizer={"gen": optimizer}, stepped=["norm.*"]).splitlines() == [
        "stepped=['norm.*']: 4 tensors in the optimizer that the model does not have",
        "  foreign  optimizer['gen'].groups[0][1-4] ×4 (2, 8 elements)",
    ]


def test_lazy_parameters_are_unknown_where_they_count() -> None:
    model: Any = nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 3))
    model[0].weight = nn.parameter.UninitializedParameter(requires_grad=False)
    model[0].bias = None
    expect(model, trainable=12)
    assert refused(model, total=12).startswith("total: expected 12, found an unknown number: 1 parameter of unknown")


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({}, "nothing is expected"),
        ({"like": "nothing"}, "like= takes a Report or a Snapshot, not 'nothing'"),
        ({"trainable": 1e6}, "Write trainable=1_000_000,"),
        ({"trainable": True}, "not True"),
        ({"total": "3"}, "total= takes a number of elements or a range, not '3'"),
        ({"total": -1}, "below nothing"),
        ({"hidden": range(3, 3)}, "allows no number at all"),
        ({"frozen": "encoder.*"}, "Write frozen=['encoder.*']."),
        ({"frozen": [""]}, "empty glob"),
        ({"frozen": [3]}, "a list of path globs, not a list"),
        ({"trainable_only": {"a": 1}}, "a list of path globs, not a dict"),
        ({"tied": {"a", "b"}}, "has '"),
        ({"tied": [{"a"}]}, "one slot alone is not tied"),
        ({"tied": "a=b"}, "takes a list of sets of paths, not 'a=b'"),
        ({"stepped": "all_trainable"}, 'or stepped="all-trainable"'),
        ({"stepped": "all-trainable"}, "there is no optimizer"),
    ],
)
def test_what_cannot_be_understood_is_no_assertion(keywords: dict[str, Any], said: str) -> None:
    with pytest.raises(ExpectationError) as caught:
        expect(nn.Linear(2, 2), **keywords)
    assert said in str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # what xdist does


def test_like_alone_expects_nothing() -> None:
    model = nn.Linear(2, 2)
    with pytest.raises(ExpectationError, match="like= is only compared with when"):
        expect(model, like=audit(model))


def test_other_mistakes_keep_their_kind() -> None:
    with pytest.raises(NotAModule):
        expect(nn.Linear, total=1)  # type: ignore[arg-type]
    with pytest.raises(NotAnOptimizer):
        expect(nn.Linear(1, 1), optimizer=3, total=2)
    with pytest.raises(ExpectationError, match="cannot be given one now"):
        expect(audit(nn.Linear(1, 1)), optimizer=torch.optim.SGD([torch.zeros(1)]), total=2)
    with pytest.raises(TypeError, match="trainabel"):
        expect(nn.Linear(1, 1), trainabel=3)  # type: ignore[call-arg]


def test_like_names_every_kind_of_change() -> None:
    model = Tied()
    before = capture(model)
    model.head = nn.Linear(4, 5)
    model.head.weight.requires_grad_(False)
    model.norm.requires_grad_(False)
    model.layers[1].requires_grad_(True)
    model.layers[0] = nn.Linear(4, 3)
    model.layers[0].bias = model.layers[0].weight = nn.Parameter(torch.zeros(4))
    adapter = model.adapters.pop()
    model.adapter = adapter
    del model.layers[2]
    lines = refused(model, total=0, like=before).splitlines()
    assert lines[1] == "compared with like=:"
    assert [line.split()[0] for line in lines[2:]] == sorted(
        (line.split()[0] for line in lines[2:]), key=lambda kind: [*KINDS, "…"].index(kind)
    )
    kinds = {change.kind for change in changes_between(state_of(before), state_of(capture(model))).changes}
    assert kinds == set(KINDS) - {"retyped", "moved", "hidden"}


def test_registering_is_a_change_where_the_path_stays() -> None:
    before = State({"w": SlotState("hidden", (2,), "float32", 2)}, ())
    after = State({"w": SlotState("frozen", (2,), "float32", 2)}, ())
    assert change_lines(changes_between(before, after)) == ["registered  w (2, 2 elements)"]
    assert change_lines(changes_between(after, before)) == ["hidden  w (2, 2 elements)"]


class Recorder:
    """A memory of the simplest kind."""

    def __init__(self, known: list[State | None]) -> None:
        self._known = iter(known)
        self.kept: list[State] = []

    def recall(self) -> State | None:
        return next(self._known)

    def remember(self, state: State) -> None:
        self.kept.append(state)


@contextmanager
def remembering(memory: Recorder) -> Iterator[None]:
    """What a test framework does around a test."""
    token = CURRENT_MEMORY.set(memory)
    yield
    CURRENT_MEMORY.reset(token)


def test_a_memory_is_what_a_failure_compares_with() -> None:
    model = nn.Linear(2, 2)
    unrelated = State({"other": SlotState("frozen", (1,), "float32", 1)}, ())
    memory = Recorder([None, None, state_of(capture(model)), unrelated])
    with remembering(memory):
        expect(model, total=6)
        assert memory.kept == [state_of(capture(model))]
        with pytest.raises(ExpectationError):
            expect(model)
        model.bias.requires_grad_(False)
        assert refused(model, trainable=6).splitlines() == [
            "trainable: expected 6, found 4, off by -2: exactly bias (frozen)",
            "since this last passed:",
            "  froze  bias (2, 2 elements)",
        ]
        assert refused(model, trainable=6).splitlines()[1:] == ["  4  weight (2×2)"]
    assert len(memory.kept) == 1
    assert refused(model, trainable=6).splitlines()[1:] == ["  4  weight (2×2)"]


def test_the_names_of_a_hostile_model_cannot_move_the_cursor() -> None:
    model = nn.Module()
    model.register_parameter("a\x1b[2J\n" + "b" * 5_000, nn.Parameter(torch.zeros(2)))
    message = refused(model, frozen=["*"], total=1)
    assert "\x1b" not in message
    assert all(len(line) < 400 for line in message.splitlines())


class InUnittest(unittest.TestCase):
    """What `unittest` makes of `expect`."""

    def test_it_holds(self) -> None:
        expect(nn.Linear(2, 2), total=6)

    @unittest.expectedFailure
    def test_it_does_not_hold(self) -> None:
        expect(nn.Linear(2, 2), total=7)


def test_unittest_shows_the_line_of_the_test_alone() -> None:
    class Failing(unittest.TestCase):
        def test_it(self) -> None:
            expect(nn.Linear(2, 2), total=7)

    result = unittest.TextTestRunner(io.StringIO()).run(Failing("test_it"))
    assert result.errors == []
    [(_, text)] = result.failures
    assert text.count("File ") == 1
    assert text.endswith("AssertionError: total: expected 7, found 6, off by -1\n  4  weight (2×2)\n  2  bias (2)\n")


# What is not one of ours, in growing likeness.
EMPTY = {"type": "", "parameters": 0, "trainable": 0, "slots": {}, "ties": []}
FOREIGN: list[object] = [
    None,
    [],
    {"format": "paramscope.report", "version": 1},
    {**EMPTY, "more": 1},
    {**EMPTY, "slots": []},
    {**EMPTY, "ties": None},
    {**EMPTY, "slots": {"a": "melted float32 3"}},
    {**EMPTY, "slots": {"a": "frozen float32 3x"}},
    {**EMPTY, "slots": {"a": "frozen float32 -3"}},
    {**EMPTY, "slots": {"a": ["frozen", 3]}},
    {**EMPTY, "ties": [["a", 1]]},
    {**EMPTY, "ties": ["ab"]},
    {**EMPTY, "ties": [["a", "b"]]},
    {**EMPTY, "parameters": 1},
    {**EMPTY, "slots": {"a.[0-999999999].b": "frozen float32 3"}},
]


@pytest.mark.parametrize("value", FOREIGN)
def test_a_foreign_state_is_no_state(value: object) -> None:
    assert from_plain(EMPTY) == Locked("", State({}, ()))
    assert from_plain(value) is None


STATUSES: tuple[Status, ...] = ("trainable", "frozen", "hidden", "buffer")
DTYPES = st.sampled_from(["float32", "bfloat16"])
NAMES = ["a", "b", "0", "1", "2", "10", "x1", "007"]
PLAIN = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(".".join)
PATHS = st.lists(st.sampled_from([*NAMES, "[0-1]", "module"]), min_size=1, max_size=4).map(".".join)
SHAPES = st.one_of(st.none(), st.lists(st.integers(0, 3), max_size=2).map(tuple))


@st.composite
def states(draw: st.DrawFn) -> State:
    slots: dict[str, SlotState] = {}
    for path in draw(st.lists(PATHS, unique=True, max_size=12)):
        shape = draw(SHAPES)
        numel = None if shape is None else int(torch.Size(shape).numel())
        slots[path] = SlotState(draw(st.sampled_from(STATUSES)), shape, draw(DTYPES), numel)
    groups: dict[tuple[int, SlotState], list[str]] = {}
    for path, state in slots.items():
        if state.status in ("trainable", "frozen"):
            groups.setdefault((draw(st.integers(0, 2)), state), []).append(path)
    return State(slots, tuple(tuple(group) for group in groups.values() if len(group) > 1))


@given(states())
def test_a_state_survives_json(state: State) -> None:
    known = from_plain(json.loads(json.dumps(to_plain(Locked("Net", state)))))
    assert known is not None
    assert known.state.slots == state.slots
    assert set(map(frozenset, known.state.ties)) == set(map(frozenset, state.ties))


@given(states(), states())
def test_changes_backwards_are_the_opposite(before: State, after: State) -> None:
    pairs = ("thawed", "froze"), ("untied", "tied"), ("registered", "hidden"), ("added", "removed")
    opposite = {here: there for pair in pairs for here, there in (pair, pair[::-1])}
    forth, back = changes_between(before, after), changes_between(after, before)
    assert not changes_between(before, before).changes
    assert {new: old for old, new in forth.names.items()} == back.names

    def facts(found: Changes, *, is_back: bool) -> set[tuple[str, frozenset[str]]]:
        # Paths as `after` has them, where it has the slot.
        told = [
            (change.kind, [forth.names.get(path, path) if is_back else path for path in change.paths])
            for change in found.changes
            if change.kind != "renamed"
        ]
        return {(opposite.get(kind, kind) if is_back else kind, frozenset(paths)) for kind, paths in told}

    assert facts(forth, is_back=False) == facts(back, is_back=True)
    # What changed is enough to tell whether a slot is new, gone, or otherwise than it was.
    named = {change.paths[-1] for change in forth.changes if change.kind not in ("tied", "untied", "removed")}
    same = {new for old, new in forth.names.items() if old == new and before.slots[old] == after.slots[new]}
    assert named == after.slots.keys() - same
    gone = {change.paths[0] for change in forth.changes if change.kind == "removed"}
    assert gone == before.slots.keys() - forth.names.keys()


def expanded(path: str) -> Iterator[str]:
    """All paths that a folded one stands for."""
    head, bracket, rest = path.partition("[")
    if not bracket:
        yield path
        return
    inside, _, tail = rest.partition("]")
    for part in inside.split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        for number in range(int(first), int(last or first) + 1, int(step or 1)):
            yield from expanded(f"{head}{number}{tail}")


@given(st.lists(st.tuples(PLAIN, st.integers(0, 1)), unique_by=lambda entry: entry[0]))
def test_folded_paths_expand_to_every_path(entries: list[tuple[str, int]]) -> None:
    rows = fold_paths([((path,), facts) for path, facts in entries])
    assert sorted(i for row in rows for i in row.members) == list(range(len(entries)))
    for row in rows:
        assert sorted(expanded(row.path)) == sorted(entries[i][0] for i in row.members)
        assert len({entries[i][1] for i in row.members}) == 1


def test_what_runs_together_is_one_row() -> None:
    experts = [((f"h.{i}.experts.{j}.w",), None) for i in range(4) for j in range(5) if (i, j) != (2, 2)]
    assert [row.path for row in fold_paths(experts)] == ["h.[0-1,3].experts.[0-4].w", "h.2.experts.[0-1,3-4].w"]
    assert fold_paths([((f"h[{i}].w",), None) for i in range(3)])[0].path == "h[0-2].w"
    ties = [((f"h.{i}.a", f"g.{i}.b.0"), None) for i in range(3)]
    assert [row.path for row in fold_paths(ties)] == ["h.[0-2].a = g.[0-2].b.0"]


def _frozen_norm() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    model[:2].requires_grad_(False)
    return model


def test_findings_that_should_not_be_there_are_shown_in_full() -> None:
    assert refused(_frozen_norm(), findings=()).startswith(
        "findings: expected none of severity warning or above, found 1 finding\n"
        "  1: warning PS202 frozen-norm-updates-statistics\n"
        "    Each forward still moves running_mean and running_var of 1, frozen but in training mode.\n"
        "    help: Call .eval() on model[1], again after every model.train().\n"
    )
    assert "none but PS104 of" in refused(_frozen_norm(), findings=["PS104"])
    expect(_frozen_norm(), findings="error")
    expect(_frozen_norm(), findings=["PS202"])
    expect(_frozen_norm().eval(), findings=())
    expect(_frozen_norm().eval(), findings="info")
    expect(capture(_frozen_norm().eval()), findings=())


def test_an_info_counts_where_its_code_is_expected_and_only_there() -> None:
    model = nn.Sequential(nn.Embedding(4, 2), nn.Linear(2, 4))
    model[1].weight = model[0].weight
    expect(model, findings=())
    expect(model, findings=["PS602"])
    model.append(_frozen_norm())
    (first, *_) = refused(model, findings=["PS602"]).splitlines()
    assert first == "findings: expected none but PS602 of severity warning or above, found 1 finding"
    (first, *_) = refused(model, findings=()).splitlines()
    assert first == "findings: expected none of severity warning or above, found 1 finding; 1 info does not count"


def test_findings_that_should_be_there_are_missed() -> None:
    model = nn.Linear(2, 2)
    assert (
        refused(model, findings=["PS202"]) == "findings: expected PS202, and it is not found: the rule finds nothing"
    )
    assert refused(model, findings=["PS401"]).endswith("it is not found: no optimizer was given")


def test_what_a_project_accepts_is_no_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    declared = '[tool.paramscope]\nignore = [{code = "PS202", path = "1", reason = "adapted to the new data"}]\n'
    (tmp_path / "pyproject.toml").write_text(declared)
    expect(_frozen_norm(), findings=())
    accepted = "it is not found: it is accepted, by a comment or in pyproject.toml"
    assert refused(_frozen_norm(), findings=["PS202"]).endswith(accepted)
    (tmp_path / "pyproject.toml").write_text("[tool.paramscope]\nseverity = {PS202 = 'info'}\n")
    expect(_frozen_norm(), findings=())
    assert "info PS202" in refused(_frozen_norm(), findings="info")


@pytest.mark.parametrize("findings", ["fatal", 3, [3], {"PS104": 1}])
def test_findings_that_cannot_be_understood(findings: Any) -> None:
    with pytest.raises(
        ExpectationError, match=r"findings= takes codes or a severity.*\nWrite findings=\(\) for none"
    ):
        expect(nn.Linear(2, 2), findings=findings)
