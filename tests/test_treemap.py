"""The treemap: areas are what they stand for, each tensor once, whatever its name, at any size of model."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from support.boxes import SVG, Picture
from support.names import NAMES
from support.targets import run
from torch import nn

from benchmarks.models import gpt2, llama70b, moe
from fixtures import unseen
from paramscope import Report, audit
from paramscope.errors import FormatError, GlobError

ROOT = Path(__file__).parent.parent
GROUND = (960 - 32) * (540 - 62 - 16)
"""Pixels that all areas share."""


class Tile:
    """One area, as its file has it."""

    def __init__(self, element: ET.Element, status: str) -> None:
        self.status = status
        self.x, self.y, self.w, self.h = (float(element.attrib[name]) for name in ("x", "y", "width", "height"))
        self.area = self.w * self.h
        title = element.find(f"{SVG}title")
        assert title is not None
        assert title.text is not None
        self.tip = title.text
        found = re.search(r": ([\d,]+) elements, (<?[\d.]+)%, (\w+)$", self.tip)
        assert found is not None, self.tip
        self.elements, said = int(found[1].replace(",", "")), found[3]
        assert said == status


def drawn(report: Report, **options: Any) -> str:
    svg = report.render("treemap", **options)
    assert isinstance(svg, str)
    return svg


def tiles(svg: str) -> list[Tile]:
    """The areas of a picture, by status as they are grouped."""
    return [
        Tile(element, group.attrib["class"].removeprefix("ps-"))
        for group in ET.fromstring(svg).iter(f"{SVG}g")
        for element in group.iter(f"{SVG}rect")
    ]


def check(report: Report) -> list[Tile]:
    """Areas stand for elements, tile the ground, and add up to the totals of the report; texts do not meet."""
    svg = drawn(report)
    found, sums = tiles(svg), report.totals
    whole = sum(tile.elements for tile in found)
    for tile in found:
        assert tile.area == pytest.approx(GROUND * tile.elements / whole, rel=1e-4, abs=0.1), tile.tip
    assert sum(tile.area for tile in found) == pytest.approx(GROUND, rel=1e-4)
    by_status = Counter[str]()
    for tile in found:
        by_status[tile.status] += tile.elements
    wanted = {
        "trainable": sums.trainable,
        "frozen": sums.frozen,
        "buffer": sums.buffers,
        "hidden": sums.hidden,
        "attribute": sums.attributes,
    }
    assert +by_status == +Counter(wanted)
    large = [tile for tile in found if tile.w > 0.5 and tile.h > 0.5]
    for i, one in enumerate(large):
        for other in large[i + 1 :]:
            wide = min(one.x + one.w, other.x + other.w) - max(one.x, other.x)
            high = min(one.y + one.h, other.y + other.h) - max(one.y, other.y)
            assert min(wide, high) < 0.01, (one.tip, other.tip)
    assert Picture(svg).overlapping() == []
    return found


def half_frozen_gpt2() -> nn.Module:
    model: Any = gpt2()
    for number in range(8):
        model.transformer.h[number].requires_grad_(False)
    return model


def thawed_llama() -> nn.Module:
    model = llama70b()
    for path, parameter in model.named_parameters():
        parameter.requires_grad_(path.startswith("model.layers.7."))
    return model


def quantities() -> nn.Module:
    """Everything that has a status, in one model."""
    model: Any = nn.Module()
    model.body = nn.Sequential(nn.Linear(30, 40), nn.BatchNorm1d(40), nn.Linear(40, 8))
    model.body[0].weight.requires_grad_(False)
    model.hidden = [nn.Linear(20, 20)]
    model.table = torch.zeros(50)
    model.register_buffer("mean", torch.zeros(300))
    return model


@pytest.mark.parametrize("build", [half_frozen_gpt2, thawed_llama, quantities, unseen.build, lambda: nn.Linear(3, 3)])
def test_areas_are_proportional_and_add_up(build: Any) -> None:
    found = check(audit(build()))
    assert 1 < len(found) <= 500


def test_several_roots_share_the_picture() -> None:
    found = check(audit({"generator": nn.Linear(8, 8), "critic": nn.Sequential(nn.Linear(8, 2), nn.Linear(2, 1))}))
    assert {tile.tip.partition(".")[0] for tile in found} >= {"generator", "critic"}


def test_a_tie_is_drawn_once_and_where_it_stands_first() -> None:
    tips = [tile.tip for tile in check(audit(gpt2()))]
    assert len([tip for tip in tips if "38,597,376 elements" in tip]) == 1
    assert any(tip.startswith("transformer.wte") for tip in tips)
    assert not any(tip.startswith("lm_head") for tip in tips)


def test_one_block_that_differs_stands_apart_in_its_own_colour() -> None:
    found = [tile for tile in check(audit(thawed_llama())) if tile.status == "trainable"]
    assert {".".join(tile.tip.split(".")[:3]).partition(" ")[0] for tile in found} == {"model.layers.7"}


def test_what_is_not_opened_is_split_by_status() -> None:
    model = nn.Sequential(*(nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64)) for _ in range(400)))
    for path, parameter in model.named_parameters():
        parameter.requires_grad_(path.split(".")[1] == "1")
    found = check(audit(model))
    rest = {tile.status: tile.elements for tile in found if " more in " in tile.tip}
    assert rest == {"frozen": 300 * 64 * 65, "trainable": 300 * 64 * 65}
    assert len(found) == 2 * 101


def test_elements_are_told_by_text_and_hatch_and_not_by_colour_alone() -> None:
    svg = drawn(audit(quantities()))
    words = [text.text or "" for text in ET.fromstring(svg).iter(f"{SVG}text")]
    for status in ("trainable", "frozen", "buffer", "attribute", "hidden"):
        assert any(word.startswith(f"{status} ") for word in words), words
        if status != "trainable":
            (group,) = [g for g in ET.fromstring(svg).iter(f"{SVG}g") if g.get("class") == f"ps-{status}"]
            assert group.find(f"{SVG}path") is not None


def test_bytes_are_counted_once_for_each_byte_of_a_storage() -> None:
    model = nn.Module()
    model.whole = nn.Parameter(torch.zeros(100))
    model.register_buffer("part", model.whole.detach()[:50])
    model.register_buffer("small", torch.zeros(100, dtype=torch.int8))
    svg = drawn(audit(model), size="bytes")
    assert "500 B" in svg
    tips = [title.text for title in ET.fromstring(svg).iter(f"{SVG}title")]
    assert "whole (100): 400 B, 80.0%, trainable" in tips
    assert "small (100): 100 B, 20.0%, buffer" in tips


def test_a_glob_chooses() -> None:
    report = audit(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 5)))
    assert sum(tile.elements for tile in tiles(drawn(report, path="*.weight"))) == 9 + 15
    with pytest.raises(GlobError, match="no slot matches 'nowhere'"):
        report.render("treemap", path="nowhere")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (nn.Identity(), "no tensors: this model holds no parameters, buffers or tensor attributes"),
        (nn.LazyLinear(4), "no tensor has any elements yet"),
        (nn.ParameterList([nn.Parameter(torch.zeros(0, 4))]), "no tensor has any elements yet"),
    ],
)
def test_where_there_is_nothing_to_draw_it_is_said(model: nn.Module, said: str) -> None:
    svg = drawn(audit(model))
    assert tiles(svg) == []
    assert said in "".join(text.text or "" for text in ET.fromstring(svg).iter(f"{SVG}text"))


def test_what_has_no_size_yet_is_counted() -> None:
    svg = drawn(audit(nn.Sequential(nn.Linear(2, 2), nn.LazyLinear(4))))
    assert "6 elements, and 2 tensors of unknown size" in svg


def test_a_model_of_buffers_alone() -> None:
    (tile,) = check(audit(nn.BatchNorm1d(4, affine=False, track_running_stats=True)))[:1]
    assert tile.status == "buffer"


@pytest.mark.parametrize("kind", NAMES)
def test_names_are_data(kind: str) -> None:
    name = NAMES[kind]
    model = nn.Sequential(nn.Linear(3, 2), nn.Module())
    model[1]._parameters[name] = nn.Parameter(torch.zeros(40))
    model[0]._modules[name] = nn.Sequential(nn.Linear(9, 9), nn.Linear(9, 9))
    report = audit(model, target=name)
    for pixels in ((960, 540), (320, 180)):
        svg = drawn(report, pixels=pixels)
        root = ET.fromstring(svg.encode())
        tags = {element.tag.removeprefix(SVG) for element in root.iter()}
        assert tags <= {"svg", "title", "desc", "style", "rect", "text", "g", "path"}
        assert not any(key.startswith("on") or key in ("href", "id") for each in root.iter() for key in each.attrib)
        assert Picture(svg).overlapping() == []
        assert max(map(len, svg.splitlines())) < 60_000


def test_class_names_are_data() -> None:
    kind = type("Net\x01\u202e<b>", (nn.Linear,), {})
    root = ET.fromstring(drawn(audit(nn.Sequential(kind(3, 3, bias=False), kind(4, 4, bias=False)))).encode())
    assert any("(Net\\x01\\u202e<b>)" in (title.text or "") for title in root.iter(f"{SVG}title"))


def test_thousands_of_tensors_are_a_few_hundred_areas() -> None:
    svg = drawn(audit(moe(100)))
    found = tiles(svg)
    assert sum(tile.elements for tile in found) == 50 * 100 * 3 * 4
    assert len(found) <= 500
    assert len(svg) < 200_000


def test_a_deep_model_does_not_recurse() -> None:
    model = nn.Module()
    for _ in range(3_000):
        above: Any = nn.Module()
        above.inner, above.weight = model, nn.Parameter(torch.zeros(1))
        model = above
    assert sum(tile.elements for tile in tiles(drawn(audit(model)))) == 3_000


def test_a_picture_of_any_size_keeps_its_proportions_and_what_none_has_is_refused() -> None:
    report = audit(quantities())
    for width, height in ((320, 180), (640, 360), (4_000, 3_000)):
        picture = Picture(drawn(report, pixels=(width, height)))
        assert (picture.width, picture.height) == (width, height)
        assert picture.overlapping() == []
        assert all(label.right <= width for label in picture.labels)
    with pytest.raises(FormatError, match="a picture cannot have 10×10 pixels"):
        report.render("treemap", pixels=(10, 10))
    with pytest.raises(FormatError, match="areas cannot stand for 'flops'"):
        report.render("treemap", size="flops")


def test_the_command_line_draws_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    path = tmp_path / "map.svg"
    assert run("graph", "fixtures/tying.py:tied", "-f", "treemap.svg", "-o", str(path)) == 0
    assert tiles(path.read_text(encoding="utf-8"))
    assert run("graph", "fixtures/tying.py:tied", "-f", "treemap", "-o", str(path.with_suffix(".png"))) == 2
    assert "treemap is an SVG" in capsys.readouterr().err
    assert run("graph", "fixtures/tying.py:tied", "-f", "treemap", "--size", "bytes") == 0
    assert "40 B · 25.0%" in capsys.readouterr().out
    assert run("graph", "fixtures/tying.py:tied", "-f", "treemap", "--depth", "2") == 2
    assert "the format treemap takes no --depth" in capsys.readouterr().err
    assert run("graph", "fixtures/tying.py:tied", "--size", "bytes") == 2
    assert "the format dot takes no --size" in capsys.readouterr().err
