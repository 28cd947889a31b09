"""PS602 against safetensors itself: the same sets, in models of all kinds and at random."""

from __future__ import annotations

import ast
import importlib
import random
import re
from collections.abc import Callable

import pytest
import torch
from support.torch_layers import build, forms
from torch import nn

from paramscope import capture
from paramscope.rules.discovery import discover
from paramscope.rules.engine import check

safetensors = pytest.importorskip("safetensors.torch")

PS602 = next(loaded for loaded in discover().rules if loaded.rule.code == "PS602")
FIXTURE = importlib.import_module("fixtures.rules.ps602")
BUILDERS = {
    name: value for name, value in vars(FIXTURE).items() if re.match(r"(bad|good|near)", name) and callable(value)
}


def told(model: nn.Module) -> set[frozenset[str]]:
    """The sets that the rule's problems name."""
    from paramscope.rules.facts import Facts
    from paramscope.rules.rule import Problem

    return {frozenset(each.paths) for each in PS602.check(Facts(capture(model))) if isinstance(each, Problem)}


def refused(model: nn.Module) -> set[frozenset[str]]:
    """The sets that safetensors names; none where it saves, or finds other faults only."""
    try:
        safetensors.save(model.state_dict())
    except (RuntimeError, ValueError) as error:
        said = str(error)
    else:
        return set()
    found = re.search(r"loading them again: (\[.*\])\.", said)
    assert found or "non contiguous" in said, said
    return {frozenset(names) for names in ast.literal_eval(found[1])} if found else set()


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_the_sets_are_those_of_safetensors(name: str) -> None:
    builder: Callable[[], nn.Module] = BUILDERS[name]
    model = builder()
    if name == "near_own_state_dict":
        assert told(model) == refused(model) == set()
        (skipped,) = check(capture(model), [PS602]).skipped
        assert "OwnStateDict overrides state_dict()" in skipped.reason
        return
    assert told(model) == refused(model)
    assert bool(told(model)) is name.startswith("bad")


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")
def test_every_layer_of_torch_is_taken_as_safetensors_takes_it() -> None:
    seen = 0
    for name, number in forms():
        model = build(name, number)
        if not name.startswith("Lazy"):
            assert told(model) == refused(model), name
            seen += 1
    assert seen > 100


class Views(nn.Module):
    """Contiguous slices of a few blocks of memory, some of them under two names."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        choose = random.Random(seed)
        blocks = [torch.zeros(40) for _ in range(3)]
        for number in range(choose.randint(2, 7)):
            block = choose.choice(blocks)
            start = choose.randrange(36)
            step = choose.choice((1, 1, 1, 2, 3))
            view = block[start : start + choose.randint(1, 12) : step]
            if choose.random() < 0.3:
                self.register_buffer(f"b{number}", view, persistent=choose.random() < 0.7)
            else:
                setattr(self, f"p{number}", nn.Parameter(view))
        if self._parameters and choose.random() < 0.3:
            self.again = next(iter(self._parameters.values()))
        if choose.random() < 0.3:
            self.kept = blocks[0]


def test_views_at_random_are_told_as_safetensors_tells_them() -> None:
    some = 0
    for seed in range(300):
        model = Views(seed)
        assert told(model) == refused(model), seed
        some += bool(refused(model))
    assert 50 < some < 280


def test_what_a_set_leaves_when_it_is_saved_as_the_help_says(tmp_path: object) -> None:
    for name in ("bad_interleaved", "bad_overlap"):
        state = BUILDERS[name]().state_dict()
        safetensors.save({name: tensor.contiguous().clone() for name, tensor in state.items()})
    safetensors.save_model(FIXTURE.bad(), f"{tmp_path}/model.safetensors")


def test_several_roots_are_saved_apart() -> None:
    layer = nn.Linear(2, 2)
    assert check(capture({"gen": layer, "disc": layer}), [PS602]).findings == ()
    tied = FIXTURE.bad()
    (finding,) = check(capture({"gen": tied, "disc": nn.Linear(2, 2)}), [PS602]).findings
    assert finding.paths == ("gen.embed.weight", "gen.head.weight")
