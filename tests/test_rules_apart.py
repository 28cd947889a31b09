"""Findings of several memories: each is told by itself, and their help can be typed in."""

from __future__ import annotations

import ast
import copy
import itertools
import random
import re
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from paramscope import Finding, audit, capture
from paramscope.analysis.paths import fold_groups
from paramscope.rules.code import to_code
from paramscope.rules.facts import Facts
from paramscope.rules.sharing._forms import Form, view_of


def linears(*names: str) -> nn.ModuleDict:
    """A layer for each name."""
    return nn.ModuleDict({name: nn.Linear(4, 4, bias=False) for name in names})


def pairs_of_words(number: int) -> list[tuple[str, str]]:
    """Names without numbers, which nothing can fold."""
    words = ["".join(letters) for letters in itertools.islice(itertools.product("abcdefgh", repeat=3), 2 * number)]
    return list(itertools.pairwise(words))[::2]


def the(code: str, model: Any, **options: Any) -> Finding:
    """The one finding of a rule."""
    (found,) = (each for each in audit(model, **options).findings if each.code == code)
    return found


def alias(model: Any, one: str, other: str) -> None:
    model[other].weight = nn.Parameter(model[one].weight.data)


def overlap(model: Any, one: str, other: str) -> None:
    model[other].weight = nn.Parameter(model[one].weight.data[:2])


def conflict(model: Any, one: str, other: str) -> None:
    model[other].weight = nn.Parameter(model[one].weight.data, requires_grad=False)


def across(model: Any, one: str, other: str) -> None:
    array = model[one].weight.detach().clone().numpy()
    for name in (one, other):
        model[name].weight = nn.Parameter(torch.from_numpy(array))


def declare(model: nn.ModuleDict, one: str, other: str) -> None:
    model.__dict__.setdefault("all_tied_weights_keys", {})[f"{other}.weight"] = f"{one}.weight"


def tie(model: nn.ModuleDict, one: str, other: str) -> None:
    model[other].weight = model[one].weight


def view(model: nn.ModuleDict, one: str, other: str) -> None:
    model.__dict__.setdefault("views", []).append(model[one].weight.data)
    del other


MEETINGS = {
    "PS301": alias,
    "PS302": overlap,
    "PS304": declare,
    "PS306": conflict,
    "PS307": view,
    "PS309": across,
    "PS602": tie,
}


@pytest.mark.parametrize("number", [2, 3, 100])
@pytest.mark.parametrize("code", sorted(MEETINGS))
def test_pairs_are_never_joined_in_one_list(code: str, number: int) -> None:
    pairs = pairs_of_words(number)
    model = linears(*itertools.chain.from_iterable(pairs))
    for one, other in pairs:
        MEETINGS[code](model, one, other)
    found = the(code, model)
    assert len(found.paths) == 2 * number
    said = f"{found.message} {found.help}"
    for (one, other), (third, fourth) in itertools.pairwise(pairs):
        for first, second in itertools.product((one, other), (third, fourth)):
            assert f"{first}.weight and {second}.weight" not in said
            assert f"{first}.weight, {second}.weight" not in said
    assert len(said) < 900
    assert ("for 96 more pairs" in said) is (number == 100)
    assert found.help.endswith(
        "Do so for the other, too." if number == 2 else f"Do so for the {number - 1} others, too."
    )


@pytest.mark.parametrize("code", ["PS301", "PS302", "PS306", "PS602"])
def test_what_runs_by_number_is_told_number_by_number(code: str) -> None:
    names = [f"{name}{i}" for i in range(12) for name in ("low", "high")]
    model = linears(*names)
    for i in range(12):
        MEETINGS[code](model, f"low{i}", f"high{i}")
    found = the(code, model)
    assert len(found.paths) == 24
    assert re.search(r"for (low|high)\[i\]\.weight and (low|high)\[i\]\.weight, at each i in 1-11\.", found.message)
    assert "[0-11]" not in found.message + found.help


def test_members_of_optimizers_are_told_pair_by_pair() -> None:
    model = linears("a", "b", "c")
    views = [nn.Parameter(each.data) for each in model.parameters()]
    found = the("PS411", model, optimizer=torch.optim.SGD([*model.parameters(), *views], lr=0.1))
    assert found.message.startswith("optimizer[0].groups[0][3] and a.weight are")
    assert (
        "for optimizer[0].groups[0][4] and b.weight; and for optimizer[0].groups[0][5] and c.weight." in found.message
    )
    for each in (*model.parameters(), *views):
        each.requires_grad_(False)
    optimizer = torch.optim.SGD([*model.parameters(), *views], lr=0.1)
    assert the("PS411", model, optimizer=optimizer).severity.value == "info"
    views[0].requires_grad_()
    mixed = [each for each in audit(model, optimizer=optimizer).findings if each.code == "PS411"]
    assert {each.severity.value for each in mixed} == {"error", "info"}
    assert any("but one is frozen" in each.message for each in mixed)


def test_models_over_one_memory_are_one_finding() -> None:
    policy = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.LayerNorm(4))
    reference = copy.deepcopy(policy)
    for mine, other in zip(policy.parameters(), reference.parameters(), strict=True):
        other.data = mine.data
    found = the("PS301", {"policy": policy, "reference": reference})
    assert len(found.paths) == 10
    assert found.help.startswith("Make them one Parameter, reference[0].weight = policy[0].weight; or")


def test_groups_fold_by_numbers_that_run_together() -> None:
    groups = [(f"h.{i}.up", f"h.{i}.down") for i in range(3)] + [("x", "y")]
    rows = fold_groups(groups)
    assert [(row.paths, row.runs, row.members) for row in rows] == [
        (("h.[i].up", "h.[i].down"), "i in 0-2", [0, 1, 2]),
        (("x", "y"), "", [3]),
    ]
    crossed = fold_groups([("a.0", "b.1"), ("a.1", "b.0")])
    assert [row.paths for row in crossed] == [("a.0", "b.1"), ("a.1", "b.0")]
    (grid,) = fold_groups([(f"l.{i}.e[{j}]", f"l.{i}.f[{j}]") for i in range(2) for j in range(3)])
    assert grid.paths == ("l.[i].e[j]", "l.[i].f[j]")
    assert grid.runs == "i in 0-1 and j in 0-2"


def expressions(help_text: str) -> list[str]:
    """The assignments in a help."""
    target = r"[A-Za-z_][\w.]*(?:\[[^\]]*\][\w.]*)*"
    return re.findall(rf"{target}(?: = {target})* = (?:nn\.Parameter\(.*?clone\(\)\)|{target}(?<!\.))", help_text)


class Autoencoder(nn.Module):
    """A decoder over the encoder's transpose."""

    def __init__(self, width: int, *, bias: bool) -> None:
        super().__init__()
        self.encoder = nn.Linear(8, width, bias=bias)
        self.decoder = nn.Linear(width, 8, bias=bias)
        self.decoder.weight.data = self.encoder.weight.data.t()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """There and back."""
        return self.decoder(self.encoder(x))


@pytest.mark.parametrize("width", [5, 8])
@pytest.mark.parametrize("bias", [False, True])
def test_the_help_for_a_transpose_works_when_it_is_typed(width: int, *, bias: bool) -> None:
    model = Autoencoder(width, bias=bias)
    help_text = the("PS301", model).help
    assert "decoder.weight = encoder.weight" not in help_text
    call = re.search(r"write (F\.linear\(.*?\)) instead of calling self\.decoder;", help_text)
    assert call
    x = torch.rand(3, 8)
    scope = {
        "F": functional,
        "nn": nn,
        "self": model,
        "x": model.encoder(x),
        "decoder": model.decoder,
        "encoder": model.encoder,
    }
    assert torch.allclose(eval(call[1], scope), model(x))  # noqa: S307  # as somebody types it
    (copied,) = expressions(help_text)
    before = model(x)
    exec(copied, scope)
    assert torch.equal(model(x), before)
    assert [each.code for each in audit(model).findings if each.code == "PS301"] == []


def test_the_help_for_equals_works_when_it_is_typed() -> None:
    model: Any = nn.Sequential(nn.Linear(4, 4), nn.ModuleDict({"a-b": nn.Linear(4, 4, bias=False)}))
    model[1]["a-b"].weight = nn.Parameter(model[0].weight.data)
    found = the("PS301", model)
    tied, copied = expressions(found.help)
    assert tied == "model[1]['a-b'].weight = model[0].weight"
    for code in (tied, copied):
        ast.parse(code)
        again: Any = copy.deepcopy(model)
        again[1]["a-b"].weight = nn.Parameter(again[0].weight.data)
        exec(code, {"model": again, "nn": nn})
        assert [each.code for each in audit(again).findings if each.code == "PS301"] == []


def test_several_over_one_memory_are_one_assignment() -> None:
    model = linears("a", "b", "c")
    for name in "bc":
        alias(model, "a", name)
    found = the("PS301", model)
    assert found.message.startswith("a.weight, b.weight and c.weight are different Parameters")
    assert "b.weight = c.weight = a.weight" in found.help


def form(tensor: torch.Tensor) -> Form:
    """As `form_of` tells it."""
    return Form(tuple(tensor.shape), tensor.stride(), str(tensor.dtype), int(tensor.storage_offset()))


def test_what_makes_a_view_makes_that_view() -> None:
    choose = random.Random(0)
    told = 0
    for _ in range(600):
        whole = torch.arange(60.0).view(*choose.choice([(60,), (12, 5), (3, 4, 5), (5, 12), (1, 60)]))
        if whole.dim() > 1 and choose.random() < 0.3:
            whole = whole.transpose(0, 1)
        part = whole
        for _ in range(choose.randint(0, 2)):
            kind = choose.randrange(5)
            if kind == 0 and part.dim() > 1:
                part = part.transpose(0, -1)
            elif kind == 1:
                part = part.reshape(-1)
            elif kind == 2 and part.dim():
                part = part[choose.randrange(part.shape[0]) :]
            elif kind == 3 and part.dim() > 1:
                part = part[:, : choose.randint(1, part.shape[1])]
            elif kind == 4 and part.dim():
                part = part[choose.randrange(part.shape[0])]
        is_view = part.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()
        code = view_of(form(whole), form(part)) if part.numel() and is_view else None
        if code is not None:
            told += 1
            made = eval(f"whole{code}")  # noqa: S307  # as somebody types it
            assert torch.equal(made, part), (whole.shape, part.shape, code)
            assert made.data_ptr() == part.data_ptr()
    assert told > 200


def test_code_for_places() -> None:
    odd = nn.Module()
    odd.add_module("0", nn.Linear(2, 2))
    model = nn.ModuleDict(
        {"class": nn.Sequential(nn.Linear(2, 2)), "odd": odd, "list": nn.ParameterList([torch.rand(2)])}
    )
    facts = Facts(capture(model))
    codes = {path: to_code(facts, path) for path in facts.slots}
    assert codes["class.0.weight"] == "model['class'][0].weight"
    assert codes["odd.0.bias"] == "odd.get_submodule('0').bias"
    assert codes["list.0"] == "list[0]"
    facts = Facts(capture({"my model": model, "other": nn.Linear(2, 2)}))
    assert to_code(facts, "my model.list.0") == "models['my model'].list[0]"
    assert to_code(facts, "other.weight") == "other.weight"
