"""The first screen: what `inspect` opens on, at 80 and 160 columns, on the models that people look at first.

`make goldens` writes tests/goldens/screen anew; read the diff: it is what users see.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch
from support.first_models import MODELS, PARTLY
from support.names import NAMES
from torch import nn
from wcwidth import wcswidth

from paramscope import Report, audit
from paramscope.errors import FormatError

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


def block_map(text: str) -> list[str]:
    """The lines of the map of blocks, its legend first; none where there is no map."""
    found = [block.splitlines() for block in text.split("\n\n") if block.startswith("blocks: ")]
    return found[0] if found else []


def cells_of(lines: list[str]) -> str:
    """The characters of a map of one family, less the gaps between tens."""
    rows = [re.search(r"(?:^|  )\d+ (\D+) \d+$", line) for line in lines[1:]]
    return "".join(re.sub("(.{10}) ", r"\1", row[1]) for row in rows if row)


def repeated(number: int, frozen: set[int], name: str = "layers") -> nn.Module:
    """A model of small blocks."""
    model = nn.Module()
    model.add_module(name, nn.ModuleList(nn.Linear(1, 1, bias=False) for _ in range(number)))
    for at, block in enumerate(model.get_submodule(name).children()):
        block.requires_grad_(at not in frozen)
    return model


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("name", PARTLY)
def test_the_first_screen_maps_blocks_that_differ(name: str, width: int) -> None:
    report = audit(PARTLY[name]())
    text = screen(report, width=width, blocks=True)
    golden = GOLDENS / f"{name}_blocks_{width}.txt"
    if os.environ.get("PARAMSCOPE_UPDATE_GOLDENS"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8"), "PARAMSCOPE_UPDATE_GOLDENS=1 writes it anew"
    assert max(map(wcswidth, text.splitlines())) <= width
    assert not block_map(screen(report, width=width))
    drawn = {
        "gpt2_half_frozen": "░" * 6 + "█" * 6,
        "llama_70b_thawed": "░" * 7 + "█" + "░" * 72,
        "moe_experts_frozen": "██░███████▒█",
    }
    assert cells_of(block_map(text)) == drawn[name]


@pytest.mark.parametrize("name", MODELS)
def test_blocks_that_are_alike_have_no_map(reports: dict[str, Report], name: str) -> None:
    assert screen(reports[name], blocks=True) == screen(reports[name])


def test_a_map_says_what_becomes_of_each_block() -> None:
    model = nn.Sequential(*(nn.Linear(1, 1) for _ in range(5)), nn.ReLU())
    model[0].requires_grad_(False)
    model[1].bias.requires_grad_(False)
    stepped = [*model[1].parameters(), *model[2].parameters(), *model[3].parameters()]
    optimizer = torch.optim.SGD(stepped[:-1])
    known = block_map(screen(audit(model, optimizer=optimizer), width=100, blocks=True))
    assert known == [
        "blocks: █ trains, ▒ in part, ░ frozen, ! not all that trains is stepped, - no registered parameter",
        "  Sequential  0 ░▒█!!- 5",
    ]
    # What is stepped is unknown.
    assert cells_of(block_map(screen(audit(model), blocks=True))) == "░▒███-"


def test_few_blocks_and_numbers_that_are_no_places_have_no_map() -> None:
    assert block_map(screen(audit(repeated(4, {1})), blocks=True))
    assert not block_map(screen(audit(repeated(3, {1})), blocks=True))
    for numbers, drawn in (((1, 2, 4, 7), "█░ █  █"), ((0, 30, 60, 90), ""), ((10**17, 10**17 + 1, 10**17 + 2), "")):
        layers = {f"layer{number}": nn.Linear(1, 1) for number in (*numbers, numbers[-1] + 1)[: 4 if drawn else 5]}
        [*layers.values()][1].requires_grad_(False)
        text = screen(audit(nn.ModuleDict(layers)), blocks=True)
        assert cells_of(block_map(text)) == drawn
        assert bool(block_map(text)) is bool(drawn)


def test_what_was_asked_for_is_mapped() -> None:
    report = audit(repeated(30, {7, 21}))
    assert cells_of(block_map(screen(report, path="layers.[5-9]", blocks=True))) == "██░██"
    assert "  layers  5 " in screen(report, path="layers.[5-9]", blocks=True)
    assert not block_map(screen(report, status="frozen", blocks=True))


@pytest.mark.parametrize(("width", "each"), [(40, 200), (80, 50), (160, 20)])
def test_a_map_of_very_many_blocks_has_few_lines(width: int, each: int) -> None:
    report = audit(repeated(10_000, {1_300, *range(5_000, 10_000)}))
    lines = block_map(screen(report, width=width, blocks=True))
    assert len(lines) <= 8
    assert lines[-1].strip() == f"a character: {each} blocks"
    assert max(map(wcswidth, lines)) <= width
    trains, frozen = 5_000 // each, 5_000 // each
    odd = 1_300 // each
    assert cells_of(lines) == "█" * odd + "▒" + "█" * (trains - odd - 1) + "░" * frozen


def test_what_has_no_parameters_does_not_count_among_many() -> None:
    layers = [nn.ReLU() if at % 2 else nn.Linear(1, 1, device="meta") for at in range(2_000)]
    nn.ModuleList(layers[1_000:]).requires_grad_(False)
    assert cells_of(block_map(screen(audit(nn.Sequential(*layers)), blocks=True))) == "█" * 100 + "░" * 100


def test_of_blocks_within_blocks_the_outermost_that_differ_are_mapped() -> None:
    model = nn.Module()
    model.layers = nn.ModuleList(repeated(6, {2} if at == 3 else set(), "experts") for at in range(5))
    lines = block_map(screen(audit(model), blocks=True))
    assert lines == ["blocks: █ trains, ▒ in part", "  layers  0 ███▒█ 4"]
    # Where all layers are in part frozen, their experts tell.
    model.layers = nn.ModuleList(repeated(6, {at % 2}, "experts") for at in range(5))
    assert block_map(screen(audit(model), blocks=True))[1:] == [
        "  layers.0.experts and 2 alike",
        "    0 ░█████ 5",
        "  layers.1.experts and 1 alike",
        "    0 █░████ 5",
    ]


def test_many_families_that_differ_are_listed_in_part() -> None:
    model = nn.ModuleDict({f"{chr(97 + at)}_net": repeated(5 + at, {at}) for at in range(9)})
    lines = block_map(screen(audit(model), blocks=True))
    assert len(lines) == 8
    assert lines[-1] == "  … and 3 more"


@pytest.mark.parametrize("width", [40, 80, 160])
def test_a_map_fits_whatever_the_blocks_are_called(width: int) -> None:
    for name in NAMES.values():
        model = nn.Module()
        model._modules[name] = repeated(120, {3})
        lines = block_map(screen(audit(model), width=width, blocks=True))
        assert lines[0] == "blocks: █ trains, ░ frozen"
        assert all(line.isprintable() for line in lines)
        assert len(lines) <= 20
        assert max(map(wcswidth, lines)) <= width
        assert cells_of(lines).count("░") == 1


@pytest.mark.parametrize(
    ("encoding", "drawn"), [("utf-8", "██░█"), ("cp437", "██░█"), ("ascii", "##.#"), ("latin-1", "##.#")]
)
def test_a_terminal_without_blocks_has_a_map_and_bars_in_ascii(encoding: str, drawn: str) -> None:
    report = audit(repeated(4, {2}))
    text = screen(report, width=120, blocks=True, encoding=encoding)
    assert cells_of(block_map(text)) == drawn
    for line in block_map(text):
        line.encode(encoding)
    if encoding == "ascii":
        assert re.search(r"100\.0%  #{12}  ~\?vm\n", text)
        assert re.search(r" 25\.0%  ###  +-\?vm\n", text)
    with pytest.raises(FormatError, match="there is no encoding 'morse'"):
        screen(report, blocks=True, encoding="morse")


def test_bars_can_be_left_out(reports: dict[str, Report]) -> None:
    assert "█" in screen(reports["gan"], width=160)
    assert "█" not in screen(reports["gan"], width=160, bars=False)


def test_a_map_is_painted_as_the_tree_is() -> None:
    model = repeated(6, {2, 3})
    report = audit(model, optimizer=torch.optim.SGD(list(model.parameters())[:5]))
    painted = screen(report, color=True, blocks=True)
    assert "  layers  0 ██\x1b[36m░░\x1b[0m█\x1b[33m!\x1b[0m 5\n" in painted
    assert re.sub("\x1b\\[[0-9;]*m", "", painted) == screen(report, blocks=True)


def test_a_map_takes_its_lines_from_the_tree() -> None:
    report = audit(PARTLY["gpt2_half_frozen"]())
    with_map, without = screen(report, height=30, blocks=True), screen(report, height=30)
    assert len(with_map.partition("\n\nfindings")[0].splitlines()) <= 30
    assert len(tree_of(with_map)) <= len(tree_of(without))
