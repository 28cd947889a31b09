"""The first screen: what `inspect` opens on, at 80 and 160 columns, on the models that people look at first.

`make goldens` writes tests/goldens/screen anew; read the diff: it is what users see.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch
from support.first_models import MODELS
from torch import nn
from wcwidth import wcswidth

from paramscope import Report, audit

GOLDENS = Path(__file__).parent / "goldens" / "screen"
FITS = {"resnet18": 45, "llama_70b": 24, "deepseek_v3": 34}
"""Lines that a view may take as a whole, at 80 columns."""


@pytest.fixture(scope="module", name="reports")
def _reports() -> dict[str, Report]:
    return {name: audit(build()) for name, build in MODELS.items()}


def screen(report: Report, **options: object) -> str:
    """What a terminal or a pipe of 40 lines shows."""
    text = report.render("tree", **{"height": 40, **options})
    assert isinstance(text, str)
    return text


def tree_of(text: str) -> list[str]:
    """The lines of the tree."""
    return text.split("\n\n")[1].partition("\nfate:")[0].splitlines()


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("name", MODELS)
def test_the_first_screen(reports: dict[str, Report], name: str, width: int) -> None:
    text = screen(reports[name], width=width)
    golden = GOLDENS / f"{name}_{width}.txt"
    if os.environ.get("PARAMSCOPE_UPDATE_GOLDENS"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8"), "PARAMSCOPE_UPDATE_GOLDENS=1 writes it anew"
    assert max(map(wcswidth, text.splitlines())) <= width
    # A label that takes two lines would have no figures in the second.
    assert all(re.search(r" [gs~?vm-]{4}$", line) for line in tree_of(text))
    if width == 80 and name in FITS:
        assert len(text.splitlines()) <= FITS[name]


INPUTS = {
    "resnet18_transformers": lambda: torch.zeros(1, 3, 224, 224),
    "gpt2_lora": lambda: {"input_ids": torch.zeros(1, 128, dtype=torch.long)},
    "llama_70b": lambda: torch.zeros(1, 4_096, dtype=torch.long),
}


@pytest.mark.parametrize("name", INPUTS)
def test_the_first_screen_of_a_run(name: str) -> None:
    report = audit(MODELS[name](), inputs=INPUTS[name]())
    for width in (80, 160):
        text = screen(report, width=width)
        golden = GOLDENS / f"{name}_run_{width}.txt"
        if os.environ.get("PARAMSCOPE_UPDATE_GOLDENS"):
            golden.write_text(text, encoding="utf-8")
        assert text == golden.read_text(encoding="utf-8"), "PARAMSCOPE_UPDATE_GOLDENS=1 writes it anew"
        assert max(map(wcswidth, text.splitlines())) <= width


@pytest.mark.parametrize(("width", "also"), [(80, []), (120, ["FLOPs", "kept"])])
def test_the_first_screen_of_a_step_has_gradients_and_updates(width: int, also: list[str]) -> None:
    frozen = nn.Linear(1, 1).requires_grad_(requires_grad=False)
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Sequential(nn.Linear(2, 1), frozen))
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x = torch.tensor([[3.0, 4.0]])
    head, *lines = tree_of(screen(audit(model, optimizer=optimizer, inputs=x, run="step"), width=width))
    assert head.split() == ["module", "output", "elements", *also, "grad", "norm", "update", "fate"]
    start, end = head.index("grad norm"), head.index("  fate")
    cells = [line[start:end].split() for line in lines]
    # The gradients: of the first weight (3, 4) twice, of the second one (7, 7), of its bias 1.
    assert cells == [["12.2", "1e-2…7e-2"], ["7.07", "4e-2"], ["9.95", "1e-2…7e-2"], ["9.95", "1e-2…7e-2"], []]
    assert max(map(wcswidth, lines)) <= width
    broken = audit(model, inputs=x * torch.inf, run="backward")
    assert "non-finite" in tree_of(screen(broken, width=width))[1]


@pytest.mark.parametrize("name", MODELS)
def test_colours_change_nothing_but_colour(reports: dict[str, Report], name: str) -> None:
    painted = screen(reports[name], color=True)
    assert re.sub("\x1b\\[[0-9;]*m", "", painted) == screen(reports[name])
    # Readable on light and dark grounds alike: no white, no black, no blue, nothing bright.
    assert set(re.findall("\x1b\\[([0-9;]*)m", painted)) <= {"0", "1", "2", "31", "1;31", "33", "35", "36"}


def test_what_is_trainable_and_not_stepped_is_yellow_and_what_is_frozen_is_not_blue() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].requires_grad_(False)
    report = audit(model, optimizer=torch.optim.SGD(model[0].parameters()))
    for text in (screen(report, color=True), report.render("table", color=True)):
        assert isinstance(text, str)
        of = dict(re.findall("\x1b\\[([0-9;]*)m(.*(?:Linear|weight).*)\x1b", text.partition("trainable params")[0]))
        assert re.search(r"2(\.bias|: Linear)", of["33"])
        assert re.search(r"1(\.bias|: Linear)", of["36"])
        assert not re.search(r"\b0(\.bias|: Linear)", " ".join(of.values()))


@pytest.mark.parametrize("height", [10, 24, 30, 40, 60, 200])
def test_modules_are_closed_as_far_as_the_height_asks(reports: dict[str, Report], height: int) -> None:
    for report in reports.values():
        text = screen(report, height=height)
        whole = screen(report, height=None)
        block = text.partition("\n\nfindings")[0].partition("\n\nsharing")[0]
        assert len(block.splitlines()) <= max(height, 12 + 8) or len(tree_of(text)) <= len(
            tree_of(screen(report, depth=1))
        )
        if text == whole:
            continue
        assert len(tree_of(text)) < len(tree_of(whole))
        assert any(" …" in line for line in tree_of(text))


def name_of(line: str) -> str:
    """The name and the class of a line's module."""
    found = re.match(r"[│├└─ ]*(\S+(: \S+)?)", line)
    assert found is not None
    return found[1]


def figures(line: str) -> tuple[str, str, str]:
    """(elements, share, fates) of a line."""
    found = re.search(r"(\(?[\d,]*\)?)  +([\d.]*%?)(?: +[█▏▎▍▌▋▊▉]+)? +(\S{4})$", line)
    assert found is not None, line
    return found[1], found[2], found[3]


def test_a_module_counts_the_same_closed_and_open(reports: dict[str, Report]) -> None:
    for report in reports.values():
        opened = [(name_of(line), figures(line)) for line in tree_of(screen(report, height=None))]
        for depth in (0, 1, 2, 3):
            closed = [(name_of(line), figures(line)) for line in tree_of(screen(report, depth=depth))]
            # The lines that both have, in order.
            rest = iter(opened)
            assert all(each in rest for each in closed), depth
            assert len(closed) <= len(opened)


def test_children_add_up_to_their_parent(reports: dict[str, Report]) -> None:
    for name in ("resnet18", "llama_70b", "gan"):
        lines = tree_of(screen(reports[name], depth=1))
        for root, *children in [list(group) for group in _by_root(lines)]:
            counted = [int(figures(line)[0].replace(",", "") or 0) for line in children]
            assert sum(counted) == int(figures(root)[0].replace(",", ""))


def _by_root(lines: list[str]) -> list[list[str]]:
    groups: list[list[str]] = []
    for line in lines:
        if line.startswith(("├", "└", "│")):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def test_what_trains_is_seen_at_a_glance(reports: dict[str, Report]) -> None:
    text = screen(reports["gpt2_lora"])
    assert "h.[0-11]: GPT2Block ×12  294,912 trainable" in text
    assert figures(next(line for line in tree_of(text) if "GPT2Block" in line))[2] == "~?vm"
    assert figures(next(line for line in tree_of(text) if "mlp: GPT2MLP" in line))[2] == "-?vm"
    assert figures(next(line for line in tree_of(text) if "lora_A" in line))[2] == "g?vm"


def test_the_legend_names_what_is_shown_and_all_of_it(reports: dict[str, Report]) -> None:
    plain = screen(audit(nn.Linear(2, 2), optimizer=torch.optim.SGD(nn.Linear(2, 2).parameters())), width=160)
    assert "\nfate: g gradients, s stepped, v saved, m moved by .to(); - not" in plain
    trained = nn.Linear(2, 2)
    plain = screen(audit(trained, optimizer=torch.optim.SGD(trained.parameters())), width=160)
    assert "\nfate: g gradients, s stepped, v saved, m moved by .to()\n" in plain
    some = screen(reports["gpt2_lora"], width=160)
    assert "s stepped (? without -O)" in some
    assert "; - not, ~ some; " in some
    assert "=1: see sharing; !PS602: see findings" in some.replace("\n", " ")


def test_other_dtypes_and_devices_are_said_where_they_are() -> None:
    model = nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(8).to(torch.bfloat16), nn.Linear(2, 2, device="meta"))
    text = screen(audit(model))
    assert text.startswith("Sequential, training mode, mostly float32 on cpu\n")
    assert re.search(r"1: LayerNorm(?: !\S+)?  8 bfloat16 \+ bias ", text)
    assert re.search(r"2: Linear(?: !\S+)?  2×2 float32 on meta \+ bias ", text)
    assert re.search(r"0: Linear(?: !\S+)?  64×64 \+ bias ", text)


def test_an_optimizer_is_one_line() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    groups = ({"params": list(model[0].parameters())}, {"params": list(model[1].parameters()), "lr": 0.1})
    optimizer = torch.optim.AdamW(groups)
    assert "\noptimizer 0: AdamW, 2 groups, 12 elements\n" in screen(audit(model, optimizer=optimizer))
