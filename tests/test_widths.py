"""No line of a view for a terminal is wider than the terminal, whatever the paths, shapes and dtypes are."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from paramscope import Report, audit, text
from paramscope.render.terminal._layout import Screen, grid

NAMES = st.sampled_from(
    ["w", "W", "bias", "weight", "a_name_of_the_kind_that_some_people_write_for_a_parameter", "\u6743\u91cd", "k_7"]
)
DTYPES = st.sampled_from([torch.float32, torch.bfloat16, torch.float8_e4m3fn, torch.complex128, torch.uint8])
SHAPES = st.lists(st.sampled_from([1, 2, 3, 17, 1000, 12_345]), max_size=9).filter(
    lambda shape: torch.tensor(shape, dtype=torch.float64).prod() < 2**45
)
MODULES = st.sampled_from(["m", "layers", "an_encoder_of_many_blocks", "\u6a21\u578b", "0"])
VIEWS: tuple[tuple[str, dict[str, object]], ...] = (
    ("table", {}),
    ("table", {"fold": False}),
    ("table", {"depth": 1}),
    ("table", {"columns": "shape,dtype,device,bytes,storage,groups,declared,type,share,findings"}),
    ("table", {"columns": "shape,share,type", "bars": True}),
    ("tree", {}),
    ("tree", {"bars": True, "blocks": True}),
    ("summary", {}),
    ("optimizer", {}),
    ("cost", {}),
    ("text", {}),
)


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    return torch.empty(draw(SHAPES), dtype=draw(DTYPES), device="meta")


@st.composite
def modules(draw: st.DrawFn, depth: int = 0) -> nn.Module:
    model = nn.Module()
    for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)):
        tensor, kind = draw(tensors()), draw(st.integers(0, 3))
        is_trained = draw(st.booleans()) and (tensor.is_floating_point() or tensor.is_complex())
        if kind > 1:
            model.register_parameter(name, nn.Parameter(tensor, requires_grad=is_trained))
        elif kind:
            model.register_buffer(name, tensor)
        else:
            setattr(model, name, tensor)
    if depth < 4:
        for name in draw(st.lists(MODULES, max_size=2, unique=True)):
            model.add_module(name, draw(modules(depth=depth + 1)))
    return model


@st.composite
def reports(draw: st.DrawFn) -> Report:
    model = draw(modules())
    parameters = list(model.parameters())
    if not parameters or draw(st.booleans()):
        return audit(model)
    rate = draw(st.sampled_from([0.1, 1.23456789e-7]))
    groups: list[dict[str, Any]] = [
        {"params": [each], "lr": rate, "an_option_of_some_length": rate} for each in parameters
    ]
    return audit(model, optimizer=torch.optim.SGD([*groups, {"params": [nn.Parameter(torch.zeros(3, 4))]}]))


@settings(deadline=None, max_examples=60)
@given(reports(), st.integers(60, 130))
def test_no_line_is_wider_than_it_may_be(report: Report, width: int) -> None:
    for view, options in VIEWS:
        drawn = report.render(view, width=width, **options)
        assert isinstance(drawn, str)
        for line in drawn.splitlines():
            assert text.width(line) <= width, (view, options, line)


@pytest.mark.parametrize("width", range(60, 100))
def test_short_slots_at_every_width(width: int) -> None:
    """A path and a shape that are shorter than their headers."""
    model = nn.Module()
    model.W = nn.Parameter(torch.eye(4))
    drawn = audit(model).render("table", width=width)
    assert isinstance(drawn, str)
    assert max(map(len, drawn.splitlines())) <= width


def test_what_does_not_fit_is_wrapped_and_not_cut_off() -> None:
    cells = [["encoder.layers.0.weight"], ["1×2000×30×4000×5"], ["complex128"], ["1,234,567,890"]]
    headers = ["path", "shape", "dtype", "elements"]
    for width in range(20, 70):
        lines = grid(cells, headers, screen=Screen(width, color=False), right=(3,))
        assert max(map(text.width, lines)) <= width
        rule = next(number for number, line in enumerate(lines) if not line.strip("- "))
        spans = [match.span() for match in re.finditer("-+", lines[rule])]
        for column, (head, (cell,)) in enumerate(zip(headers, cells, strict=True)):
            for whole, part in ((head, lines[:rule]), (cell, lines[rule + 1 :])):
                assert "".join(line[slice(*spans[column])].strip() for line in part) == whole, (width, whole)
