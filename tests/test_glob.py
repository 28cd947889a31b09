"""Globs accept what views print: folded paths, modules for all that lies in them, several with commas."""

from __future__ import annotations

import re

import pytest
from torch import nn

from paramscope import Report, audit
from paramscope.errors import GlobError
from paramscope.glob import compile_glob
from paramscope.report.data import select_or_explain


@pytest.mark.parametrize(
    ("glob", "matching", "others"),
    [
        ("layer1.[0-1].bn1.weight", ["layer1.0.bn1.weight", "layer1.1.bn1.weight"], ["layer1.2.bn1.weight"]),
        ("layer[1-3].*", ["layer1.0.conv.weight", "layer3.x"], ["layer4.x", "layer12.x", "layer.x"]),
        ("layers.[0-6,8-31].q", ["layers.0.q", "layers.31.q"], ["layers.7.q", "layers.32.q"]),
        ("h.[0-10:2].w", ["h.0.w", "h.10.w"], ["h.5.w", "h.12.w"]),
        (
            "experts[0-2].weight",
            ["experts[1].weight", "experts.1.weight"],
            ["experts[10].weight", "experts[3].weight"],
        ),
        ("layers[0]", ["layers[0]", "layers.0.weight"], ["layers.1.weight", "layers.10"]),
        ("fc", ["fc", "fc.weight", "fc.0.weight", "fc[1]", "fc->w", "fc::w", "fc{0}"], ["fc2.weight", "my.fc"]),
        ("a.*, b.bias", ["a.x", "b.bias"], ["b.weight", " b.bias"]),
        ("x['a,b']", ["x['a,b'].weight"], ["x['a", "b']"]),
        ("a,b", ["a,b", "a", "b.weight"], ["c"]),
        ("[01].weight", ["[01].weight"], ["0.weight", "1.weight", "01.weight"]),
        ("?.weight", ["0.weight"], ["10.weight"]),
        ("a.[3-1]", [], ["a.1", "a.2", "a.3"]),
        ("h.[0-3]: Block ×4 =1 !PS104,PS209+1", ["h.0", "h.3.w"], ["h.4", "h.0: Block ×4 =1"]),
        ("h.[0-1].w ×2, b: Linear", ["h.0.w", "b.bias"], ["h.2.w", "b: Linear"]),
        ("::mask", ["::mask"], ["mask"]),
    ],
)
def test_what_a_glob_means(glob: str, matching: list[str], others: list[str]) -> None:
    matches = compile_glob(glob)
    assert [path for path in matching if not matches(path)] == []
    assert [path for path in others if matches(path)] == []


@pytest.mark.parametrize("glob", ["", ",", " , "])
def test_an_empty_glob(glob: str) -> None:
    with pytest.raises(GlobError, match="an empty path glob"):
        compile_glob(glob)


@pytest.fixture(scope="module", name="report")
def _report() -> Report:
    def block() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3))

    model = nn.Module()
    for number in range(1, 5):
        model.add_module(f"layer{number}", nn.Sequential(block(), block()))
    return audit(model)


def test_every_path_that_a_table_prints_selects_its_slots(report: Report) -> None:
    table = report.render("table", columns="role", width=200)
    assert isinstance(table, str)
    rows = table.split("\n\n")[1].splitlines()[2:]
    assert any("[" in row for row in rows)
    selected = []
    for row in rows:
        path, *rest = row.split()
        found = report.select(path)
        assert f"×{len(found)}" == rest[0] if len(found) > 1 else "×" not in rest[0], row
        selected += [slot.path for slot in found]
    assert sorted(selected) == sorted(report.slots)


def test_a_miss_names_the_nearest_and_says_how_brackets_are_read(report: Report) -> None:
    with pytest.raises(GlobError) as caught:
        select_or_explain(report, "layer1.[0-1].bn.weight")
    assert re.match("Near it: .*layer1.0.1.weight", caught.value.advice)
    assert "brackets" not in caught.value.advice
    with pytest.raises(GlobError) as caught:
        select_or_explain(report, "layer1.[01].1.weight")
    assert "brackets hold an index or ranges of numbers" in caught.value.advice
    with pytest.raises(GlobError) as caught:
        select_or_explain(report, "1.weight")
    assert caught.value.advice == "Near it: *.1.weight."
    with pytest.raises(GlobError) as caught:
        select_or_explain(report, "layer1.1.weight")
    assert caught.value.advice == "Near it: layer1.0.1.weight, layer1.1.0.weight, layer1.1.1.weight."
    with pytest.raises(GlobError) as caught:
        select_or_explain(report, "layr1")
    assert "Near it: layer1" in caught.value.advice
    assert "brackets" not in caught.value.advice


@pytest.mark.parametrize(
    ("glob", "missing"),
    [
        ("layer[3-6].*", "'layer[6].*' of 'layer[3-6].*'"),
        ("layer[1,7].*", "'layer[7].*' of 'layer[1,7].*'"),
        ("layer1, layr2", "'layr2' of 'layer1, layr2'"),
        ("layer1.[0-1].[0-9:2].weight", "'layer1.[0-1].[8].weight' of 'layer1.[0-1].[0-9:2].weight'"),
        ("layer9", "'layer9'"),
    ],
)
def test_each_part_of_a_glob_is_there(report: Report, glob: str, missing: str) -> None:
    with pytest.raises(GlobError) as caught:
        select_or_explain(report, glob)
    assert str(caught.value).startswith(f"no slot matches {missing}")


def test_what_is_chosen_folds_by_itself() -> None:
    model = nn.ModuleList([nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3)) for _ in range(6)])
    report = audit(model)
    tree = report.render("tree", path="[0-2]", depth=1, width=80)
    assert "└─ [0-2]: Sequential ×3" in tree
    assert "listed: 12 of 24 slots · figures and findings: the whole model" in tree
    table = report.render("table", path="[1-3].0", width=80)
    assert "[1-3].0.weight ×3" in table
    assert "[1-3].0.bias ×3" in table
    assert "[0-5].0.bias ×6" in report.render("table", path="*.bias", width=80)
    assert "listed:" not in report.render("table", width=80)
