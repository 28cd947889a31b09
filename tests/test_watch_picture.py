"""The timeline of a watch as a picture: who was trained from when to when, at which mark that was seen."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.boxes import SVG, Picture
from support.names import NAMES
from torch import nn

from paramscope import watch
from paramscope.errors import FormatError


def drawn(watched: Any) -> str:
    svg = watched.render("svg")
    assert isinstance(svg, str)
    assert Picture(svg).overlapping() == []
    assert watched._repr_html_() == svg
    return svg


def pieces(svg: str) -> list[tuple[str, float, float]]:
    """(what is said of it, where it begins, where it ends) of each piece of a lane, and of each flag."""
    found = []
    for element in ET.fromstring(svg).iter(f"{SVG}rect"):
        title = element.find(f"{SVG}title")
        if title is not None:
            x = float(element.attrib["x"])
            found.append((title.text or "", x, x + float(element.attrib["width"])))
    return found


def texts(svg: str) -> list[str]:
    return [text.text or "" for text in ET.fromstring(svg).iter(f"{SVG}text")]


def loop(at: int, change: Callable[[Any, Any], object], steps: int = 20) -> Any:
    """A watch over a head that is trained on a frozen body, which is changed before one step."""
    model: Any = nn.ModuleDict({"body": nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), "head": nn.Linear(4, 1)})
    model.body.requires_grad_(False)
    optimizer = torch.optim.SGD(model.head.parameters(), lr=0.01)
    with watch(model, optimizer, steps=True, on_finding="collect") as watched:
        for number in range(1, steps + 1):
            if number == at:
                change(model, optimizer)
            optimizer.zero_grad()
            model.head(model.body(torch.randn(2, 4))).square().mean().backward()
            optimizer.step()
            if number % 5 == 0:
                watched.mark(f"after {number}")
    return watched


def thaw(model: Any, optimizer: Any) -> None:
    model.body.requires_grad_(True)


def test_a_change_stands_at_the_mark_that_saw_it_and_a_finding_at_its_step() -> None:
    svg = drawn(loop(8, thaw))
    lanes = {title: (x, end) for title, x, end in pieces(svg)}
    frozen, unheard = lanes["body.* ×4: frozen"], lanes["body.* ×4: trainable, in no optimizer since 'after 10'"]
    whole = lanes["head.* ×2: trainable"]
    assert frozen[0] == whole[0]
    assert frozen[1] == pytest.approx(unheard[0])
    assert unheard[1] == pytest.approx(whole[1])
    # The last mark, after step 20, stands where 90 % of the room end.
    step = (whole[1] - whole[0]) * 0.9 / 20
    assert frozen[1] - frozen[0] == pytest.approx(10 * step, abs=0.01)
    (flag,) = [x for title, (x, _) in lanes.items() if title.startswith("PS725: At step 8")]
    assert flag - whole[0] == pytest.approx(8 * step, abs=0.01)
    assert {"PS725", "after 10", "after 20", "20", "20 steps, 4 marks, 1 finding"} <= set(texts(svg))


def test_what_joins_the_optimizer_is_trained() -> None:
    def join(model: Any, optimizer: Any) -> None:
        thaw(model, optimizer)
        optimizer.add_param_group({"params": list(model.body.parameters())})

    titles = [title for title, _, _ in pieces(drawn(loop(8, join)))]
    assert titles == ["body.* ×4: frozen", "body.* ×4: trainable since 'after 10'", "head.* ×2: trainable"]


def test_what_only_joins_or_only_leaves_moves_too() -> None:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    watched = watch(model, optimizer)
    watched.mark("one")
    optimizer.add_param_group({"params": [model.weight, model.bias]})
    watched.mark("two")
    del optimizer.param_groups[1]
    watched.mark("three")
    assert [title for title, _, _ in pieces(drawn(watched))] == [
        "* ×2: trainable, in no optimizer",
        "* ×2: trainable since 'two'",
        "* ×2: trainable, in no optimizer since 'three'",
    ]


def test_what_comes_and_goes_is_drawn_while_it_is_there() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    watched = watch(model)
    watched.mark("one")
    model.append(nn.Linear(2, 2))
    watched.mark("two")
    del model[0]
    watched.mark("three")
    found = {title: (x, end) for title, x, end in pieces(drawn(watched))}
    assert "trainable, in no optimizer" not in " ".join(texts(watched.render("svg")))
    assert found["1.* ×2: trainable since 'two'"][1] < 960 - 16
    assert found["0.* ×2: trainable"][1] == pytest.approx(960 - 16)


def test_without_marks_and_without_steps() -> None:
    svg = drawn(watch(nn.Linear(2, 2)))
    assert [title for title, _, _ in pieces(svg)] == ["* ×2: trainable"]
    assert "0 marks" in texts(svg)
    assert pieces(drawn(watch(nn.Identity()))) == []


def test_marks_without_steps_are_as_far_from_each_other() -> None:
    model = nn.Linear(2, 2)
    watched = watch(model)
    for number, is_trainable in enumerate((False, True, False)):
        model.requires_grad_(is_trainable)
        watched.mark(number)
    ends = [end for _, _, end in pieces(drawn(watched))]
    assert ends[0] - (16 + 230) == pytest.approx(ends[1] - ends[0], abs=0.01)


def test_many_lanes_and_many_marks_stay_legible() -> None:
    model: Any = nn.ModuleList(nn.Linear(2, 2) for _ in range(40))
    watched = watch(model)
    for number in range(200):
        if number < 40:
            model[number].requires_grad_(False)
        watched.mark(f"epoch {number}")
    svg = drawn(watched)
    assert "16 more lanes not drawn" in texts(svg)
    assert len(svg) < 200_000


@pytest.mark.parametrize("kind", NAMES)
def test_names_and_labels_are_data(kind: str) -> None:
    name = NAMES[kind]
    model: Any = nn.Module()
    model._parameters[name] = nn.Parameter(torch.zeros(4))
    watched = watch(model)
    model._parameters[name].requires_grad_(False)
    watched.mark(name)
    root = ET.fromstring(drawn(watched).encode())
    tags = {each.tag.removeprefix(SVG) for each in root.iter()}
    assert tags <= {"svg", "title", "desc", "style", "rect", "text", "path", "line"}


def test_other_formats_are_refused() -> None:
    watched = watch(nn.Linear(2, 2))
    assert watched.render("text") == str(watched)
    with pytest.raises(FormatError, match="a watch has no format 'png'"):
        watched.render("png")
