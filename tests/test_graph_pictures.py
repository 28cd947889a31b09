"""Pictures: legible by their own boxes, every state told apart without colour, from either Graphviz or from neither."""

from __future__ import annotations

import shutil
from functools import cache
from typing import Any

import pytest
import torch
from support.boxes import SVG, Picture, labels, outline
from support.first_models import gpt2_lora
from support.graph_models import Hidden, frozen_but_one, gan
from torch import nn

from benchmarks.models import gpt2, llama70b, resnet50
from fixtures import tying, vit
from paramscope import Finding, Report, Severity, audit
from paramscope.render.picture import _layout
from paramscope.render.picture._layout import NoGraphviz
from paramscope.render.picture._scene import View

LAYOUT = "paramscope.render.picture._layout"


def thawed_llama() -> nn.Module:
    """A frozen Llama of 70 billion parameters of which block 7 trains."""
    model: Any = llama70b()
    model.requires_grad_(False)
    model.model.layers[7].requires_grad_(True)
    return model


def hidden() -> Report:
    model = Hidden()
    return audit(model, optimizer=torch.optim.SGD([model.enc.weight, model.enc.bias, torch.zeros(3)], lr=0.1))


def two_roots() -> Report:
    roots, optimizers = gan()
    return audit(roots, optimizer=optimizers)


def split_gpt2() -> Report:
    model = gpt2()
    matrices = [each for each in model.parameters() if each.dim() > 1]
    rest = [each for each in model.parameters() if each.dim() < 2]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": rest, "weight_decay": 0.0}]
    return audit(model, optimizer=torch.optim.AdamW(groups))


def lora() -> Report:
    return audit(gpt2_lora())


REPORTS = {
    "ViT": lambda: audit(vit.build()),
    "GPT-2": split_gpt2,
    "LoRA": lora,
    "Llama": lambda: audit(llama70b()),
    "Llama with a thawed block": lambda: audit(thawed_llama()),
    "ResNet": lambda: audit(resnet50()),
    "GAN": two_roots,
    "hidden": hidden,
    "tied": lambda: audit(tying.tied()),
    "nothing": lambda: audit(nn.Identity()),
}


@cache
def report_of(name: str) -> Report:
    return REPORTS[name]()


@cache
def drawn(name: str) -> Picture:
    svg = report_of(name).render("svg")
    assert isinstance(svg, str)
    return Picture(svg)


@pytest.mark.parametrize("name", REPORTS)
def test_pictures_are_legible(name: str) -> None:
    picture = drawn(name)
    assert picture.overlapping() == []
    assert picture.smallest() >= 9
    assert 1 <= len(picture.nodes) <= 60
    for node in picture.nodes:
        left, top, right, bottom = outline(node)
        for label in labels(node):
            assert left <= label.left + 0.5, label
            assert label.right <= right + 0.5, label
            assert top <= label.top + 0.5, label
            assert label.bottom <= bottom + 0.5, label


def test_a_thawed_block_stands_apart() -> None:
    picture = drawn("Llama with a thawed block")
    thawed, others = picture.node("layers.7"), picture.node("layers.[0-6,8-79]")
    assert any("trainable" in label.text for label in labels(thawed))
    assert any("frozen" in label.text for label in labels(others))
    # A double border is two polygons.
    assert len(list(others.iter(f"{SVG}polygon"))) == 1 + len(list(thawed.iter(f"{SVG}polygon")))


def test_ties_are_drawn() -> None:
    picture = drawn("tied")
    tie = picture.node("embedding.weight")
    assert [label.text for label in labels(tie)][:2] == ["embedding.weight", "= head.weight"]
    scene = View(report_of("tied"), fold=True, depth=None, around=None, only=None).scene(60)
    ends = {(link.tail, link.head) for link in scene.links if link.kind == "holds-shared"}
    assert ends == {(f"module:{name}", "tensor:embedding.weight") for name in ("embedding", "head")}
    assert "tensor:transformer.wte.weight" in {box.name for box in _scene("GPT-2").boxes}


def _scene(name: str, **options: Any) -> Any:
    asked = {"fold": True, "depth": None, "around": None, "only": None, **options}
    return View(report_of(name), **asked).scene(60)


def test_states_differ_in_shape_or_border_and_in_words() -> None:
    looks = {box.look: box for name in REPORTS for box in _scene(name).boxes}
    assert {"trainable", "frozen", "mixed", "unstepped", "hidden", "tied", "aliased", "storage", "group"} <= set(
        looks
    )
    from paramscope.render.picture.dot import _STYLES
    from paramscope.render.picture.mermaid import _STYLES as MERMAID

    shapes = {(each.shape, each.style, each.peripheries, each.penwidth) for each in _STYLES.values()}
    assert len(shapes) == len(_STYLES) == len({each.border for each in _STYLES.values()})
    in_mermaid = {(each.start, each.line) for each in MERMAID.values()}
    assert len(in_mermaid) == len(MERMAID) == len({each.border for each in MERMAID.values()})
    told = {look: " ".join(box.lines) for look, box in looks.items()}
    words = {"frozen": "frozen", "hidden": "not registered", "tied": "tied", "unstepped": "in no optimizer group"}
    for look, word in words.items():
        assert word in told[look]


def test_the_legend_explains_what_is_there_and_nothing_else() -> None:
    texts = [label.text for label in drawn("hidden").labels]
    assert "dashed: hidden, not registered" in texts
    assert "dotted: in no optimizer group" in texts
    assert not any("frozen" in text for text in texts)
    assert any(text.startswith("double border") for text in (label.text for label in drawn("LoRA").labels))


def test_an_optimizer_has_few_edges() -> None:
    steps = [link for link in _scene("GPT-2").links if link.kind == "steps"]
    assert [(link.tail, link.head) for link in steps] == [
        ("group:0[0]", "module:"),
        ("group:0[1]", "module:transformer"),
    ]
    lines = [line for box in _scene("GPT-2").boxes for line in box.lines]
    assert any(line.endswith("→A") for line in lines)
    assert any(line.endswith("→B") for line in lines)
    whole = [(link.tail, link.head) for link in _scene("GAN").links if link.kind == "steps"]
    assert whole == [("group:gen[0]", "module:generator"), ("group:disc[0]", "module:discriminator")]


def test_a_group_is_linked_to_what_it_steps() -> None:
    model: Any = nn.Sequential(*(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)) for _ in range(3)), nn.Linear(2, 3))
    model[:2].requires_grad_(False)
    heads = {
        "all": (model, ["module:2.[0-1]", "module:3"]),
        "the last": (model[3], ["module:3"]),
        "half a block": (model[2][1], ["module:2.1"]),
    }
    for name, (part, wanted) in heads.items():
        found = audit(model, optimizer=torch.optim.SGD(part.parameters(), lr=0.1))
        scene = View(found, fold=True, depth=None, around=None, only=None).scene(40)
        assert [link.head for link in scene.links if link.kind == "steps"] == wanted, name


def test_a_hundred_groups_stand_in_one_box() -> None:
    model = nn.ModuleList(nn.Linear(2, 2 + i) for i in range(100))
    groups = [{"params": list(layer.parameters()), "lr": 0.1 / (i + 1)} for i, layer in enumerate(model)]
    scene = View(
        audit(model, optimizer=torch.optim.SGD(groups, lr=0.1)), fold=True, depth=None, around=None, only=None
    ).scene(60)
    (box,) = [box for box in scene.boxes if box.look == "group"]
    assert "100 groups" in box.lines
    assert len(scene.boxes) <= 60


def test_strangers_in_a_group_are_told() -> None:
    (box,) = [box for box in _scene("hidden").boxes if box.look == "group"]
    assert "1 tensor not in the model" in box.lines


def test_findings_are_shown() -> None:
    report = report_of("hidden")
    found = Finding("PS101", "hidden", Severity.ERROR, "lost", ("enc.bias", "layers[1]"))
    picture = Picture(str(Report(report.snapshot, findings=(found,)).render("svg")))
    assert [label.text for label in labels(picture.node("enc.bias"))][-1] == "▲ PS101"
    assert "▲ PS101" in [label.text for label in labels(picture.node("layers[0-2]"))]


def test_depth_closes_modules() -> None:
    assert [box.title for box in _scene("ViT", depth=0).boxes] == [["ViT"]]
    (root,) = _scene("ViT", depth=0).boxes
    assert any("modules inside" in line for line in root.lines)
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Sequential(nn.Dropout(), nn.Linear(2, 2))))
    for depth, number in ((0, 6), (1, 5)):
        *_, box = View(audit(model), fold=True, depth=depth, around=None, only=None).scene(40).boxes
        assert f"… {number} modules inside" in box.lines
    names = [box.title[0] for box in _scene("ViT", depth=1).boxes]
    assert names == ["ViT", "transformer", "mlp_head"]
    assert len(_scene("ViT", depth=5).boxes) == len(_scene("ViT").boxes)


def test_only_says_when_there_is_nothing() -> None:
    assert "only ties: there is none" in _scene("ViT", only="ties").notes
    assert "only frozen: there is none" in _scene("ViT", only="frozen").notes
    assert "only hidden: there is none" in _scene("ViT", only="hidden").notes
    assert "only hidden" in _scene("hidden", only="hidden").notes


def test_a_wide_or_deep_model_folds_further_and_says_so() -> None:
    wide = nn.ModuleList(
        nn.Sequential(nn.Sequential(nn.Linear(i + 1, 2), nn.ReLU()), nn.Linear(2, 2)) for i in range(300)
    )
    deep: nn.Module = nn.Linear(1, 1)
    for i in range(40):
        deep = nn.ModuleDict({"a_name_of_some_length": deep, "and_another": nn.Sequential(nn.Linear(1, i + 2))})
    for model in (wide, deep):
        picture = Picture(str(audit(model).render("svg")))
        assert len(picture.nodes) <= 60
        assert picture.overlapping() == []
        assert picture.smallest() >= 9
        assert any("folded further" in label.text for label in picture.labels)
    assert not any("folded further" in label.text for label in drawn("Llama").labels)


def test_no_fold_draws_every_block() -> None:
    report = audit(frozen_but_one())
    picture = Picture(str(report.render("svg", fold=False)))
    assert len(picture.nodes) == 1 + 8
    assert len(Picture(str(report.render("svg"))).nodes) == 1 + 2


@pytest.mark.parametrize("format", ["dot", "mermaid"])
@pytest.mark.parametrize("name", REPORTS)
def test_the_same_bytes_twice(name: str, format: str) -> None:
    assert report_of(name).render(format) == Report.from_json(report_of(name).to_json()).render(format)


@pytest.mark.parametrize("kind", ["system", "pygraphviz"])
@pytest.mark.parametrize(("format", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_either_graphviz_draws(kind: str, format: str, start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "system" and not shutil.which("dot"):
        pytest.skip("this system has no Graphviz of its own")
    monkeypatch.setattr(_layout, "engine", lambda: kind)
    result = report_of("tied").render(format)
    data = result.encode() if isinstance(result, str) else result
    assert data.startswith(start)
    if isinstance(result, str):
        picture = Picture(result)
        assert len(picture.nodes) == 4
        assert picture.overlapping() == []


def test_with_neither_graphviz_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{LAYOUT}.shutil.which", lambda name: None)
    monkeypatch.setattr(f"{LAYOUT}.importlib.util.find_spec", lambda name: None)
    for format in ("svg", "png", "pdf"):
        with pytest.raises(NoGraphviz) as error:
            report_of("tied").render(format)
        assert "paramscope[svg]" in error.value.advice
        assert "apt install graphviz" in error.value.advice
    for format in ("dot", "mermaid"):
        assert "embedding.weight" in str(report_of("tied").render(format))


def test_without_the_systems_graphviz_the_wheel_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{LAYOUT}.shutil.which", lambda name: None)
    assert _layout.engine() == "pygraphviz"
    assert str(report_of("tied").render("svg")).startswith("<?xml")
