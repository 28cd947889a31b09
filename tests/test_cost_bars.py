"""The bars of cost: as long as what they stand for, and what is unknown is said."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from support.boxes import SVG, Picture
from support.names import NAMES
from support.targets import run
from torch import nn

from paramscope import Report, audit

ROOT = Path(__file__).parent.parent


def drawn(report: Report) -> str:
    svg = report.render("cost_bars")
    assert isinstance(svg, str)
    assert Picture(svg).overlapping() == []
    return svg


def bars(svg: str) -> dict[str, float]:
    """By what is said of it, how long each piece is."""
    found = {}
    for element in ET.fromstring(svg).iter(f"{SVG}rect"):
        title = element.find(f"{SVG}title")
        if title is not None:
            assert title.text is not None
            found[title.text] = float(element.attrib["width"])
    return found


def test_the_pieces_of_a_bar_lie_side_by_side() -> None:
    places: dict[float, list[tuple[float, float]]] = {}
    for element in ET.fromstring(drawn(adam_of_half())).iter(f"{SVG}rect"):
        if element.find(f"{SVG}title") is not None:
            x, y, wide = (float(element.attrib[name]) for name in ("x", "y", "width"))
            places.setdefault(y, []).append((x, x + wide))
    assert len(places) == 5
    for found in places.values():
        assert found[0][0] == 16 + 150
        assert all(one[1] == pytest.approx(other[0], abs=1e-3) for one, other in pairwise(found))


def texts(svg: str) -> list[str]:
    return [text.text or "" for text in ET.fromstring(svg).iter(f"{SVG}text")]


def adam_of_half() -> Report:
    model = nn.Sequential(nn.Linear(64, 64, bias=False), nn.Linear(64, 128, bias=False), nn.BatchNorm1d(128))
    model[0].requires_grad_(False)
    return audit(model, optimizer=torch.optim.Adam(model[1].parameters()))


def test_each_piece_is_as_long_as_its_bytes() -> None:
    report = adam_of_half()
    found = bars(drawn(report))
    cost = report.cost.at_first_step
    assert cost is not None
    assert cost.total
    assert cost.optimizer_state == 2 * 64 * 128 * 4 + 4
    whole = {title: wide for title, wide in found.items() if title.startswith("at the first step: ")}
    assert [re.sub(r" [\d.]+ \w+$", "", title) for title in whole] == [
        "at the first step: parameters",
        "at the first step: gradients",
        "at the first step: optimizer state",
        "at the first step: buffers",
    ]
    room = sum(whole.values())
    parts = (cost.parameters, cost.gradients, cost.optimizer_state, cost.buffers)
    for wide, nbytes in zip(whole.values(), parts, strict=True):
        assert nbytes is not None
        assert wide == pytest.approx(room * nbytes / cost.total, rel=1e-4, abs=1e-3)
    frozen = [title for title in found if title.startswith("0: ")]
    assert frozen == ["0: parameters 16.0 KiB"]


def test_what_is_unknown_is_said_and_not_drawn() -> None:
    svg = drawn(adam_of_half())
    assert "not in the total: activations (no inputs were given)" in texts(svg)
    assert not any("activations" in title for title in bars(svg))
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    ran = drawn(audit(model, optimizer=torch.optim.SGD(model.parameters()), inputs=torch.zeros(2, 8)))
    assert any("activations" in title for title in bars(ran))


@pytest.mark.parametrize("model", [nn.Identity(), nn.LazyLinear(3), nn.BatchNorm1d(4, affine=False)])
def test_models_that_train_nothing(model: nn.Module) -> None:
    assert "now" in texts(drawn(audit(model)))


def test_the_rest_of_many_modules_is_one_bar() -> None:
    words = texts(drawn(audit(nn.Sequential(*(nn.Linear(2, 2) for _ in range(40))))))
    assert "14" in words
    assert "25 others" in words


@pytest.mark.parametrize("kind", NAMES)
def test_names_are_data(kind: str) -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    model._modules[NAMES[kind]] = nn.Linear(3, 3)
    root = ET.fromstring(drawn(audit(model, target=NAMES[kind])).encode())
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {
        "svg",
        "title",
        "desc",
        "style",
        "rect",
        "text",
        "path",
    }


def test_the_command_line_draws_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    path = tmp_path / "cost.svg"
    assert run("graph", "fixtures/vit.py:build", "--meta", "-O", "adam", "-f", "cost.svg", "-o", str(path)) == 0
    assert "833.5 MiB" in texts(path.read_text(encoding="utf-8"))
    assert run("graph", "fixtures/vit.py:build", "--meta", "-f", "cost_bars", "--size", "bytes") == 2
    assert "the format cost_bars takes no --size" in capsys.readouterr().err
