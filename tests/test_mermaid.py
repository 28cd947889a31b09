"""Mermaid: the same scene as DOT, within what GitHub draws."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from support.graph_models import Hidden
from torch import nn

from benchmarks.models import gpt2, llama70b, resnet50
from fixtures import tying
from paramscope import Report, audit
from paramscope.render.picture.mermaid import FOLDED_FURTHER, MOST_EDGES, MOST_TEXT


def drawn(model: Any, **options: Any) -> str:
    text = audit(model).render("mermaid", **options)
    assert isinstance(text, str)
    return text


def links(text: str) -> list[tuple[str, str, str]]:
    return re.findall(r"^    (n\d+) (---|-\.-|--o|==o|-\.-o|-\.->|==>) (n\d+)$", text, re.MULTILINE)


def shape(text: str, title: str) -> str:
    (line,) = [line for line in text.splitlines() if f'"<b>{title}</b>' in line and "legend" not in line]
    return re.sub(r"^ *n\d+", "", line).partition('"')[0]


def within_limits(text: str) -> bool:
    return len(text) <= MOST_TEXT and len(links(text)) <= MOST_EDGES


def test_a_tie_is_a_hexagon_with_two_thick_links() -> None:
    text = drawn(tying.tied())
    assert text.startswith("flowchart LR\n")
    assert shape(text, "embedding.weight") == "{{"
    assert [kind for _, kind, _ in links(text)].count("==o") == 2
    assert "hexagon: tied, one tensor in several slots" in text


def test_what_a_tie_holds_is_stepped_by_its_group_and_counted_once() -> None:
    model: Any = nn.Sequential(nn.Embedding(10, 4), nn.LayerNorm(4), nn.Linear(4, 10))
    model[2].weight = model[0].weight
    matrices = [each for each in model.parameters() if each.ndim == 2]
    vectors = [each for each in model.parameters() if each.ndim == 1]
    found = audit(model, optimizer=torch.optim.SGD([{"params": matrices}, {"params": vectors}], lr=0.1))
    text = str(found.render("mermaid"))
    assert "10×4 float32<br/>● trainable →A<br/>tied: 2 slots, 1 tensor" in text
    assert "<b>0</b><br/>Embedding<br/>● 40 trainable" in text
    # The head has a bias of its own: the tied weight was counted, as in the tree.
    assert "<b>2</b><br/>Linear<br/>● 10 trainable" in text
    assert "elements in parentheses" not in text
    model[2].bias = None
    for format, count in (("mermaid", "● #40;40#41; trainable"), ("dot", "● (40) trainable")):
        whole = str(audit(nn.Sequential(model[0], model[2])).render(format))
        assert whole.count(count) == 1
        assert "elements in parentheses were counted before" in whole


def test_a_frozen_member_of_a_group_is_stepped_by_none() -> None:
    model = nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 3))
    text = str(audit(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1)).render("mermaid"))
    (group, stepped) = (re.findall(rf"(n\d+).*<b>{title}</b>", text)[0] for title in ("SGD", "1"))
    # Of a model that is frozen but for one layer, this one has a box.
    assert [link for link in links(text) if link[1] == "==>"] == [(group, "==>", stepped)]
    assert "15 elements<br/>6 of them frozen" in text


def test_states_have_shapes() -> None:
    model = Hidden()
    model.dec.requires_grad_(False)
    model.enc.requires_grad_(True)
    model.extra = nn.Sequential(nn.Sequential(nn.Linear(2, 2)), nn.Linear(2, 2)).requires_grad_(False)
    text = audit(model, optimizer=torch.optim.SGD([model.whole], lr=0.1)).render("mermaid")
    assert isinstance(text, str)
    assert shape(text, "extra") == "[["
    assert shape(text, "storage") == "[("
    assert shape(text, "SGD") == ">"
    assert ":::hidden" in text
    assert "stroke-dasharray:8 4" in text


@cache
def report_of(build: Callable[[], nn.Module]) -> Report:
    return audit(build())


@pytest.mark.parametrize("build", [gpt2, llama70b, resnet50])
@pytest.mark.parametrize("fold", [True, False])
def test_real_models_stay_within_githubs_limits(build: Any, *, fold: bool) -> None:
    text = report_of(build).render("mermaid", fold=fold)
    assert isinstance(text, str)
    assert within_limits(text)
    is_whole = fold or build is not llama70b
    assert ("folded further" in text) == (not is_whole)


def test_past_the_limits_it_folds_further_and_says_so() -> None:
    model = nn.ModuleDict(
        {f"权重<{i}>": nn.Sequential(*(nn.Sequential(nn.Linear(i + 1, j + 1)) for j in range(9))) for i in range(300)}
    )
    text = drawn(model, fold=False)
    assert within_limits(text)
    assert FOLDED_FURTHER in text
    assert len(links(text)) > 20
    assert within_limits(drawn(model))
