"""Names in pictures are data: escaped for DOT, SVG and Mermaid, legible, and never markup, node or script."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pygraphviz
import pytest
import torch
from support.boxes import SVG, Picture
from support.hostile_models import check_text
from support.names import NAMES
from torch import nn

from paramscope import Report, audit
from paramscope.render.picture.mermaid import escaped

NAMES = {
    **NAMES,
    "HTML of Graphviz": "<b>x</b>",
    "an escape of DOT": "\\N\\G\\l\\",
    "an image": '<IMG SRC="/etc/passwd"/>',
}
PLAIN = "plain"


def report_on(name: str) -> Report:
    """A model with one name wherever there is one."""
    model: Any = nn.Sequential(nn.Linear(3, 2), nn.Module(), nn.BatchNorm1d(2))
    model[1]._parameters[name] = nn.Parameter(torch.zeros(4))
    model[0]._modules[name] = nn.Sequential(nn.Linear(1, 1))
    model[0]._parameters[name + "2"] = model[1]._parameters[name]
    model.held = {name: nn.Parameter(torch.zeros(2))}
    optimizer = torch.optim.SGD(list(model.parameters())[:3], lr=0.1)
    group: Any = optimizer.param_groups[0]
    group[name] = name
    report = audit({name or "nameless": model, "other": nn.Linear(2, 2)}, optimizer={name: optimizer})
    return Report(report.snapshot, target=name)


@pytest.mark.parametrize("kind", NAMES)
def test_svg_is_well_formed_and_holds_no_more_than_with_a_plain_name(kind: str) -> None:
    svg, plain = str(report_on(NAMES[kind]).render("svg")), str(report_on(PLAIN).render("svg"))
    check_text("svg", svg)
    picture, expected = Picture(svg), Picture(plain)
    assert (len(picture.nodes), len(picture.edges)) == (len(expected.nodes), len(expected.edges))
    assert {each.tag for each in picture.root.iter()} <= {each.tag for each in expected.root.iter()}
    assert not [
        each
        for each in picture.root.iter()
        if any(name.endswith("href") or name.startswith("on") for name in each.attrib)
    ]
    assert picture.overlapping() == []


def test_a_name_is_read_as_it_was() -> None:
    for name in ("<script>alert('x')</script>", 'a"b\\n', "&lt;b&gt;", "&#x202e;", "权重.层", "<b>x</b>"):
        svg = str(report_on(name).render("svg"))
        texts = [each.text or "" for each in Picture(svg).root.iter(f"{SVG}text")]
        assert any(name in text for text in texts), (name, texts)


@pytest.mark.parametrize("kind", NAMES)
def test_dot_is_read_by_graphviz_as_the_same_graph(kind: str) -> None:
    source = str(report_on(NAMES[kind]).render("dot"))
    check_text("dot", source)
    plain = pygraphviz.AGraph(string=str(report_on(PLAIN).render("dot")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph = pygraphviz.AGraph(string=source)
        graph.draw(format="svg", prog="dot")
    assert sorted(graph.nodes()) == sorted(plain.nodes())
    assert sorted(graph.edges()) == sorted(plain.edges())


LINE = re.compile(
    r'    (?:legend|n\d+)(?:\[\[|\[\(|\(\[|\{\{|\[|\(|>)"[^"`\\%{}\n]*"(?:\]\]|\)\]|\]\)|\}\}|\]|\)):::\w+'
    r"|    n\d+ (?:---|-\.-|--o|==o|-\.-o|-\.->|==>) n\d+"
    r"|    classDef \w+ [\w:#,\- ]+"
    r"|flowchart LR"
)
ALLOWED = re.compile(r"<br/>|</?b>")


@pytest.mark.parametrize("kind", NAMES)
def test_mermaid_has_no_line_and_no_markup_but_its_own(kind: str) -> None:
    text = str(report_on(NAMES[kind]).render("mermaid"))
    check_text("mermaid", text)
    for line in text.splitlines():
        assert LINE.fullmatch(line), line
        if '"' in line:
            assert "<" not in ALLOWED.sub("", line)


def test_mermaid_escapes() -> None:
    assert escaped('a"b') == "a#34;b"
    assert escaped("<script>") == "#60;script#62;"
    assert escaped("%%{init}%%") == "#37;#37;#123;init#125;#37;#37;"
    assert escaped("#lt;") == "#35;lt#59;"
    assert escaped("1. item") == "1#46; item"
    assert escaped("- item") == "#45; item"
    assert escaped("") == "#160;"
    assert escaped("权重 weight 3×4") == "权重 weight 3×4"
