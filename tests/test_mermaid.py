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
