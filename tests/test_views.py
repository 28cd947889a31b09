"""The views of lines: what is chosen, closed and sorted, and how the tree, the optimizers' view and the sums say it."""

from __future__ import annotations

import re

import pytest
import torch
from support.versions import as_here, takes_names
from support.view_models import Net, report
from torch import nn
from wcwidth import wcswidth

from paramscope import Report, audit
from paramscope.errors import FormatError, GlobError

TREE_80 = """\
Net  436 trainable, 1 buffer                    524  100.0%  ~~~~
├─ scale  4                                       4    0.8%  g-vm
├─ cache  attribute 5                             5          ----
├─ embed: Embedding =1  10×4                     40    7.6%  gsvm
├─ layers: ModuleList  392 trainable            480   91.6%  ~~vm
│  ├─ [0-3,5]: Block ×5  392 trainable          400   76.3%  ~~vm
│  │  ├─ norm: LayerNorm ×5  4 + bias            40    7.6%  gsvm
│  │  ├─ up: Linear ×5  192 trainable           200   38.2%  ~~vm
│  │  │  ├─ weight ×5  8×4                      160   30.5%  gsvm
│  │  │  ├─ layers.[0-1,3,5].up.bias ×4  8       32    6.1%  gsvm
│  │  │  └─ layers.2.up.bias  8                   8    1.5%  --vm
│  │  └─ down: Linear ×5  4×8                   160   30.5%  gsvm
│  └─ 4: Block                                   80   15.3%  --vm
│     ├─ norm: LayerNorm  4 + bias                8    1.5%  --vm
│     ├─ up: Linear  8×4 + bias                  40    7.6%  --vm
│     └─ down: Linear  4×8                       32    6.1%  --vm
├─ head: Linear =1  10×4                       (40)          gsvm
└─ experts[0-2]: Linear ×3  hidden 2×2 + bias    18          g---
"""
DEPTH_1 = """\
path             role    shape     dtype    elements  fate
---------------  ------  --------  -------  --------  ----
scale            param   4         float32         4  g-vm
mask             buffer  3         bool            3  ---m
cache            attr    5         float32         5  ----
embed =1         module  1 slot    float32        40  gsvm
layers           module  30 slots  float32       480  ~~vm
head =1          module  1 slot    float32      (40)  gsvm
experts[0-2] ×3  module  6 slots   float32        18  g---
"""
OPTIMIZER_100 = """\
optimizer 0: AdamW
path                           group      lr  decay  elements
-----------------------------  -----  ------  -----  --------
embed.weight =1                    0  0.0003    0.1        40
layers.[0-3,5].up.weight ×5        0  0.0003    0.1       160
layers.[0-3,5].down.weight ×5      0  0.0003    0.1       160
head.weight =1                     0  0.0003    0.1      (40)
layers.[0-3,5].norm ×5             1  0.0003      0        40
layers.[0-1,3,5].up.bias ×4        1  0.0003      0        32
  betas (0.9, 0.999), eps 1e-08, decoupled_weight_decay True

not stepped
path              slots  elements  why
----------------  -----  --------  -----------------------------
scale                 1         4  trainable, but in no group
mask                  1         3  buffer
cache                 1         5  plain tensor
layers.2.up.bias      1         8  frozen
layers.4              5        80  frozen
experts[0-2] ×3       6        18  hidden: parameters() lacks it
trainable, but in no group: 4 · buffer: 3 · plain tensor: 5 · frozen: 88 · hidden: 18
"""


@pytest.fixture(scope="module", name="net")
def _net() -> Report:
    return report()


def shown(of: Report, format: str, **options: object) -> str:
    """What a format prints."""
    text = of.render(format, **options)
    assert isinstance(text, str)
    return text


def paths(text: str) -> list[str]:
    """First column of the table, without its heading."""
    rows = text.split("\n\n")[1].splitlines()[2:]
    return [row.split()[0] for row in rows]


def test_the_tree(net: Report) -> None:
    assert TREE_80 in shown(net, "tree")


def test_a_wide_tree_has_bars_that_are_proportional(net: Report) -> None:
    text = shown(net, "tree", width=120)
    bars = {re.split("[: ]", line.strip("│├└─ "))[0]: line.count("█") for line in text.splitlines() if "%" in line}
    assert bars["Net"] == 12
    assert bars["layers"] == 11  # 91.6 % of 12
    assert bars["4"] == 1


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
@pytest.mark.parametrize("format", ["table", "tree", "optimizer", "summary"])
def test_no_line_is_wider_than_the_screen(net: Report, format: str, width: int) -> None:
    text = shown(net, format, width=width)
    painted = shown(net, format, width=width, color=True)
    assert re.sub("\x1b\\[[0-9;]*m", "", painted) == text
    # Figures have a width of their own, below which a table does not shrink.
    assert max(wcswidth(line) for line in text.splitlines()) <= max(width, 68 if format == "summary" else 60)
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_a_depth_closes_modules_and_sums_them_up(net: Report) -> None:
    assert DEPTH_1 in shown(net, "table", depth=1)
    whole = shown(net, "table", depth=0)
    assert paths(whole) == ["the"]
    assert "524" in whole
    # However deep, nothing is lost.
    for depth in range(6):
        text = shown(net, "table", depth=depth, status="trainable,frozen", columns="elements")
        counts = [line.split()[-1] for line in text.split("\n\n")[1].splitlines()[2:]]
        assert sum(int(count) for count in counts if not count.startswith("(")) == net.totals.parameters, depth


def test_a_tree_of_some_depth(net: Report) -> None:
    text = shown(net, "tree", depth=1)
    whole = shown(net, "tree")
    assert re.search(r"├─ layers: ModuleList …  392 trainable +480 +91\.6%  ~~vm\n", text)
    # What is one line in any case is not closed, and what is closed says the same as where it is open.
    for name in ("Net", "head: Linear", "experts[0-2]: Linear"):
        (line,) = (line for line in text.splitlines() if name in line and "fate" not in line and "," not in line[:4])
        (open_line,) = (line for line in whole.splitlines() if name in line and "," not in line[:4])
        assert line.split() == open_line.split()
    assert "norm" not in text.partition("\nfate")[0]
    legend = "…: closed, --depth and --path open it"
    assert legend in text
    assert legend not in whole


def test_every_view_counts_a_closed_module_alike(net: Report) -> None:
    counts = {"scale": "4", "embed": "40", "layers": "480", "head": "(40)"}
    for format, options in (
        ("tree", {"depth": 1}),
        ("table", {"depth": 1}),
        ("markdown", {"depth": 1}),
        ("summary", {}),
    ):
        text = shown(net, format, **options)
        for name, count in counts.items():
            if (format, name) != ("summary", "scale"):
                (line,) = re.findall(rf"^[|`├─ ]*{name}\b.*", text.partition("elements in")[0], re.MULTILINE)
                assert count in line.split(), (format, name)


def test_glyphs_stand_in_one_order_and_legends_say_what_is_shown() -> None:
    model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 10, bias=False), nn.Linear(2, 2).half())
    model[1].weight = model[0].weight
    found = audit(model)
    for format, name in (("tree", "0: Embedding"), ("table", "0.weight")):
        assert f"{name} =1 !PS602  " in shown(found, format)
        if format == "table":
            assert "0 =1 !PS602  " in shown(found, format, depth=1)
    assert "float16 and float32 on cpu;" in shown(found, "table", depth=0)
    assert "all parameters on cpu;" in shown(found, "table")
    assert "stepped is unknown" in shown(found, "table", columns="shape,stepped")
    assert "stepped is unknown" in shown(found, "markdown")
    assert "stepped is unknown" not in shown(found, "table", columns="shape,elements")


def test_a_status_selects_and_opens_rows(net: Report) -> None:
    assert paths(shown(net, "table", status="frozen")) == [
        "layers.2.up.bias",
        *(f"layers.4.{name}" for name in ("norm.weight", "norm.bias", "up.weight", "up.bias", "down.weight")),
    ]
    assert paths(shown(net, "table", status=["hidden", "attribute"])) == [
        "cache",
        "experts[0-2].weight",
        "experts[0-2].bias",
    ]
    frozen = [f"layers.4.{name}" for name in ("norm.weight", "norm.bias", "up.weight", "up.bias", "down.weight")]
    hidden = ["experts[0-2].weight", "experts[0-2].bias"]
    assert paths(shown(net, "table", status="not-stepped")) == [
        *("scale", "mask", "cache", "layers.2.up.bias"),
        *frozen,
        *hidden,
    ]
    unasked = audit(Net())
    assert "no slot is unknown; what is stepped is unknown without -O" in shown(
        unasked, "table", status="unknown,not-stepped"
    )
    assert paths(shown(unasked, "table", status="stepped,hidden")) == hidden
    assert paths(shown(net, "table", status="shared")) == ["embed.weight", "head.weight"]
    assert paths(shown(net, "table", status="frozen", path="*.bias")) == [
        "layers.2.up.bias",
        "layers.4.norm.bias",
        "layers.4.up.bias",
    ]
    assert "no slot is unknown" in shown(net, "table", status="unknown")
    tree = shown(net, "tree", status="frozen").partition("\nfate")[0]
    assert "embed" not in tree
    assert "2.up: Linear  bias 8" in tree


def test_a_closed_module_is_what_its_parameters_are() -> None:
    class Hider(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.BatchNorm1d(2)]

    tree = shown(audit(Hider()), "tree")
    assert re.search(r"─ layers\[0\]: BatchNorm1d .* 4 +g\?--\n", tree)
    found = audit(nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))))
    assert re.search(
        r"\n0 +module +4 slots \+ 3 buffers +24\n", shown(found, "table", depth=1, columns="role,shape,elements")
    )
    assert re.search(r"\n0 +float32\n", shown(found, "table", depth=1, columns="dtype"))


def test_buffers_that_were_asked_for_are_named() -> None:
    found = audit(nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), nn.BatchNorm2d(2)))
    closed = shown(found, "tree", status="buffer", depth=1)
    assert re.search(r"─ 0\.1: BatchNorm2d … +5 +-\?vm\n", closed)
    tracked = shown(found, "tree", path="0.1.num_batches_tracked")
    assert re.search(r"─ 0\.1: BatchNorm2d  buffer num_batches_tracked scalar int64.* 1 +-\?vm\n", tracked)
    # Beside parameters, they are only counted.
    assert re.search(r"BatchNorm2d  2 \+ bias, 3 buffers", shown(found, "tree"))


def test_what_is_listed_is_of_what_can_be() -> None:
    found = audit(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False)))
    assert "listed: 3 of 5 slots" in shown(found, "table", path="1")
    assert "listed: 2 of 7 slots" in shown(found, "table", status="empty")
    assert "listed: 1 of 7 slots" in shown(found, "table", path="1.weight")
    assert "listed: 5 of 7 slots" in shown(found, "table", path="1", fold=False)


def test_lines_are_sorted(net: Report) -> None:
    text = shown(net, "table", sort="elements", columns="elements")
    numbers = [int(line.split()[-1].strip("()")) for line in text.split("\n\n")[1].splitlines()[2:]]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) > 10
    names = paths(shown(net, "table", sort="path"))
    assert names == sorted(names)


def test_columns_are_chosen(net: Report) -> None:
    text = shown(
        net, "table", columns="shape,bytes,share,groups,module,declared,type,storage,status", path="embed*", width=120
    )
    assert text.split("\n\n")[1].splitlines() == [
        "path             shape  bytes  of all  groups  module     declared  type       storage  status",
        "---------------  -----  -----  ------  ------  ---------  --------  ---------  -------  ---------",
        "embed.weight =1  10×4   160 B    7.6%  0:0     Embedding  10×4      Parameter  2        trainable",
    ]


def test_the_optimizers_view(net: Report) -> None:
    assert as_here(OPTIMIZER_100) in shown(net, "optimizer", width=100)


@takes_names
def test_the_optimizers_view_names_strangers_and_what_is_stepped_although_frozen() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    optimizer = torch.optim.SGD(model.named_parameters(), lr=0.1)
    model[0].weight.requires_grad_(False)
    model[0].bias.grad = torch.zeros(3)
    model[0].bias.requires_grad_(False)
    model[1].weight = nn.Parameter(torch.zeros(1, 3))
    text = shown(audit(model, optimizer={"main": optimizer}), "optimizer", width=120)
    assert re.search(r"0\.weight +1 +6  frozen, in group 0\n", text)
    assert re.search(r"0\.bias +0 +0\.1 +0 +3  frozen, yet stepped: its gradient is left over", text)
    assert re.search(r"main\[0\]\[2\] 1\.weight +1×3 +float32 +1\.weight, by name", text)
    assert re.search(r"1\.weight +1 +3  trainable, but in no group", text)


class Nets:
    """Models whose parameters were all handed over, of whatever trains."""

    def __init__(self, *parts: nn.Module) -> None:
        self.model = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), *parts, nn.Linear(2, 3))

    def report(self, *names: str) -> Report:
        """With an SGD that holds everything, under each name."""
        return audit(self.model, optimizer={name: torch.optim.SGD(self.model.parameters(), lr=0.1) for name in names})


def test_what_was_handed_over_but_is_frozen_is_not_stepped() -> None:
    nets = Nets()
    nets.model[0].requires_grad_(False)
    found = nets.report("optimizer")
    text = shown(found, "optimizer").split("\n\n")
    assert text[1].splitlines()[0] == "optimizer: SGD"
    assert re.search(r"\n1 +0 +0\.1 +0 +9\n", text[1])
    # The module stands for its parameters, and for the buffers beside them.
    assert re.search(r"\n0 +4 +24  frozen, in group 0; 3 buffers\nfrozen, in group 0: 24 · buffer: 5\n", text[2])
    assert "\noptimizer: SGD, 1 group, 9 elements stepped, 24 frozen\n" in shown(found, "tree")
    for format, headers in (("table", r"group +tensors +elements +frozen "), ("markdown", r"elements \| +frozen \|")):
        assert re.search(headers, shown(found, format)), format
        assert not re.search(headers, shown(Nets().report("0"), format)), format
    assert "**Optimizer: `SGD`**" in shown(found, "markdown")
    assert "24 of them frozen" in shown(found, "mermaid")
    nets.model.requires_grad_(False)
    text_of_two = shown(nets.report("gen", "disc"), "optimizer", width=100)
    assert re.search(r"optimizer gen: SGD\n  nothing: what it holds is frozen\n", text_of_two)
    reason = "frozen, in groups gen:0 and disc:0"
    assert re.search(rf"\nthe root +6 +33  {reason}; 3 buffers\n{reason}: 33 · buffer: 5\n", text_of_two)


def test_what_is_stepped_alike_is_a_line_a_module_and_buffers_are_one() -> None:
    text = shown(Nets().report("0"), "optimizer")
    assert re.search(r"\nthe root +0 +0\.1 +0 +33\n", text)
    assert re.search(r"\n0\.1 +3 +5  buffer\nbuffer: 5\n", text)
    two = Nets(nn.BatchNorm1d(2)).report("0")
    assert re.search(r"\n0\.1 +3 +5  buffer\n1 +3 +5  buffer\nbuffer: 10\n", shown(two, "optimizer"))
    some = shown(Nets(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))).report("0"), "optimizer", path="1.1.*")
    assert re.search(r"\n1\.1 +0 +0\.1 +0 +6\n", some), "a row of several, of which one was chosen"
    assert "nothing of what was chosen" in shown(Nets().report("0"), "optimizer", path="*.running_mean")


def test_what_all_paths_begin_with_is_said_once_where_room_is_short() -> None:
    parts = nn.ModuleDict({"low": nn.Linear(2, 2), "high": nn.Linear(2, 2), "last": nn.Linear(2, 3)})
    parts["high"].requires_grad_(False)
    model = nn.ModuleDict({"base_model": nn.ModuleDict({"with_a_very_long_name": parts})})
    found = audit(model, optimizer=torch.optim.SGD(parts["low"].parameters()))
    assert re.search(r"\nbase_model\.with_a_very_long_name\.last +2 ", shown(found, "optimizer", width=100))
    heading = r"\npath in +slots .*\nbase_model\.with_a_very_long_name\n-.*\nhigh +2 +6  frozen\nlast +2 "
    assert re.search(heading, shown(found, "optimizer"))


def test_the_optimizers_view_without_an_optimizer() -> None:
    text = shown(audit(Net()), "optimizer")
    assert "no optimizer was given: hand it over with -O" in text
    assert re.search(r"scale +1 +4  trainable\n", text)


def test_sums(net: Report) -> None:
    text = shown(net, "summary")
    assert re.search(r"by status .*\n-.*\ntrainable +26 +436 +83\.2061% +436 +0 +1\.7 KiB\n", text)
    assert re.search(r"\nbool +1 +0 +0 +3 +3 B\n", text)
    for table in text.split("\n\n")[1:5]:
        # tensors, parameters, their share where there is any, trainable, other, bytes and their unit
        rows = [re.sub(r" [\d.]+%", "", line).split()[-6:-2] for line in table.splitlines()[2:]]
        assert [sum(int(cell) for cell in column if cell.isdigit()) for column in zip(*rows, strict=True)] == [
            40,
            524,
            436,
            26,
        ], table
    # As the tree counts: parameters, and their share of all; each tensor where it is first met.
    assert re.search(r"\nlayers +30 +480 +91\.6031% +392 +0 +1\.9 KiB\n", text)
    assert re.search(r"\nthe root itself +3 +4 ", text)
    assert re.search(r"\nhead +0 +\(40\) +0 +0 +0 B\n", text)
    assert "\n\nelements in parentheses were counted above\n\n" in text
    assert re.search(r"\nexperts +6 +0 +0 +18 ", text)
    assert "parentheses" not in shown(audit(nn.BatchNorm1d(2)), "summary")
    roots = shown(audit({"gen": nn.Linear(2, 2), "disc": nn.Linear(2, 1)}), "summary")
    assert re.search(r"by root .*\n-.*\ngen +2 +6 .*\ndisc +2 +3 ", roots)


def test_what_does_not_exist_is_refused(net: Report) -> None:
    for options in ({"status": "frosen"}, {"sort": "size"}, {"depth": -1}, {"columns": "shapes"}):
        with pytest.raises(FormatError):
            net.render("table", **options)
    with pytest.raises(GlobError):
        net.render("tree", path="nothing.*")


def test_a_tree_of_modules_within_modules_without_end() -> None:
    model = inner = nn.Module()
    for _ in range(1_500):
        inner.below = nn.Module()
        inner = inner.below
        inner.scale = nn.Parameter(torch.zeros(1))
    text = shown(audit(model), "tree")
    lines = text.partition("\n\nfate")[0].splitlines()[2:]
    assert len(lines) > 3_000
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("style", "row"),
    [
        ("latex_booktabs", r" layers.[0-3,5].up.weight ×5   & Linear    & 8×4     &        160 &    30.5\% \\"),
        ("github", "| layers.[0-3,5].up.weight ×5   | Linear    | 8×4     |        160 |    30.5% |"),
        ("plain", "layers.[0-3,5].up.weight ×5    Linear     8×4             160     30.5%"),
    ],
)
def test_tables_for_papers(net: Report, style: str, row: str) -> None:
    text = shown(net, "table", style=style, path="layers")
    assert row in text.splitlines()
    assert "trainable params" not in text
    # There is no legend that would explain glyphs.
    assert "=1" not in shown(net, "table", style=style)
    assert "(40)" not in shown(net, "table", style=style)
    found = audit(nn.Sequential(nn.Linear(2, 2).half()))
    assert "!PS" not in shown(found, "table", style=style)
    assert "PS207" in shown(found, "table", style=style, columns="findings")
    assert shown(net, "table", style=style, path="layers", columns="shape").count("8×4") == 2


def test_a_style_that_does_not_exist_or_escapes_nothing(net: Report) -> None:
    with pytest.raises(FormatError, match="there is no table style 'latexbooktabs'\nDid you mean latex_booktabs"):
        net.render("table", style="latexbooktabs")
    for style in ("unsafehtml", "latex_raw"):
        with pytest.raises(FormatError):
            net.render("table", style=style)
    model = nn.Module()
    model.add_module("a|b<i>&$", nn.Linear(2, 2))
    assert r"a\|b" in shown(audit(model), "table", style="github")
    assert "&lt;i&gt;" in shown(audit(model), "table", style="html")
    assert r"\&\$" in shown(audit(model), "table", style="latex")
