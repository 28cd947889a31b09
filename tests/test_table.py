"""The table: what it says, that it fits, that its columns add up, and that names stay data."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from support.versions import as_here, takes_names
from torch import nn
from wcwidth import wcswidth

from paramscope import Report, audit, capture
from paramscope.errors import FormatError, GlobError


class Model(nn.Module):
    """One of everything a table shows."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.embed = nn.Embedding(10, 3, padding_idx=0)
        self.blocks = nn.ModuleList([nn.Linear(3, 3) for _ in range(4)])
        self.norm = nn.BatchNorm1d(3)
        self.lazy = nn.LazyLinear(2)
        self.head = nn.Linear(3, 10, bias=False)
        self.head.weight = self.embed.weight
        self.blocks.requires_grad_(False)
        self.register_buffer("mask", torch.zeros(2, dtype=torch.float16), persistent=False)
        self.cache = torch.zeros(5)
        self.extra = [nn.Linear(2, 2)]


@pytest.fixture(scope="module")
def report() -> Report:
    """The model with an optimizer over what trains, less one, and one stranger."""
    model = Model()
    optimizer = torch.optim.AdamW(
        [
            {"params": [model.scale, nn.Parameter(torch.zeros(7))], "lr": 0.1},
            {"params": [model.embed.weight, *model.lazy.parameters()], "weight_decay": 0.0},
        ]
    )
    return Report(capture(model, optimizer=optimizer))


EXPECTED_80 = """\
Model, training mode

path                      role    shape    dtype    elements  fate
------------------------  ------  -------  -------  --------  ----
scale                     param   3        float32         3  gsvm
mask                      buffer  2        float16         2  ---m
cache                     attr    5        float32         5  ----
embed.weight =1           param   10×3     float32        30  gsvm
blocks.[0-3].weight ×4    param   3×3      float32        36  --vm
blocks.[0-3].bias ×4      param   3        float32        12  --vm
norm.weight               param   3        float32         3  g-vm
norm.bias                 param   3        float32         3  g-vm
norm.running_mean         buffer  3        float32         3  --vm
norm.running_var          buffer  3        float32         3  --vm
norm.num_batches_tracked  buffer  scalar   int64           1  --vm
lazy.weight               param   unknown  float32   unknown  gsvm
lazy.bias                 param   unknown  float32   unknown  gsvm
head.weight =1            param   10×3     float32      (30)  gsvm
extra[0].weight           hidden  2×2      float32         4  g---
extra[0].bias             hidden  2        float32         2  g---

all on cpu; fate: g gradients, s stepped, v saved, m moved by .to(); - not;
elements in parentheses were counted above; =1: see sharing

trainable params: 39 || all params: 87 || trainable%: 44.8276
by name: 117 · buffers: 9 · hidden: 6 · attributes: 5 ·
2 tensors of unknown size not counted · memory: 428 B · empty slots not listed

sharing
  =1 tied: embed.weight, head.weight

optimizer 0: AdamW
group  tensors  elements  of the model  state
-----  -------  --------  ------------  -----
0            2        10      11.4943%    0 B
1            3        30      34.4828%    0 B
  group 0: lr 0.1, betas (0.9, 0.999), eps 1e-08, weight_decay 0.01,
  decoupled_weight_decay True
    scale
    foreign: 7 float32, not in the model
  group 1: weight_decay 0, lr 0.001, betas (0.9, 0.999), eps 1e-08,
  decoupled_weight_decay True
    embed.weight
    lazy.weight
    lazy.bias
trainable, but in no group, so never stepped:
  norm.weight
  norm.bias
"""


def test_at_80_columns(report: Report) -> None:
    # Without what the rules say of it: that has tests of its own.
    bare = Report(report.snapshot)
    assert bare.render("table") == as_here(EXPECTED_80)
    assert str(bare) == as_here(EXPECTED_80)


def test_at_160_columns_nothing_is_shortened(report: Report) -> None:
    text = report.render("table", width=160)
    assert isinstance(text, str)
    header = text.splitlines()[2].split()
    assert header == ["path", "role", "module", "shape", "dtype", "elements", "gradient", "stepped", "saved", "moved"]
    row = next(line for line in text.splitlines() if line.startswith("norm.weight"))
    assert row.split() == ["norm.weight", "parameter", "BatchNorm1d", "3", "float32", "3", "yes", "-", "yes", "yes"]
    assert "\nall on cpu; " in text  # what is the same in every row is said once


def _narrowest(text: str) -> int:
    return max(wcswidth(re.sub("\x1b\\[[0-9;]*m", "", line)) for line in text.splitlines())


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 240])
def test_no_line_is_wider_than_the_screen(report: Report, width: int) -> None:
    for color in (False, True):
        text = report.render("table", width=width, color=color)
        assert isinstance(text, str)
        assert _narrowest(text) <= width


def test_long_and_wide_names_wrap_and_stay_aligned() -> None:
    model = nn.Module()
    inner = model
    for name in ("编码器", "注意力层", "a_rather_long_name_of_a_module", "🙂" * 12):
        child = nn.Module()
        inner.add_module(name, child)
        inner = child
    inner.weight = nn.Parameter(torch.zeros(2))
    model.bias = nn.Parameter(torch.zeros(3))
    text = audit(model).render("table", width=80)
    assert isinstance(text, str)
    lines = text.splitlines()
    assert _narrowest(text) <= 80
    rule = next(i for i, line in enumerate(lines) if line.startswith("----"))
    starts = {wcswidth(line[: line.index("g?vm")]) for line in lines[rule:] if line.endswith(" g?vm")}
    assert len(starts) == 1
    assert "🙂" in text
    assert "编码器" in text


@pytest.mark.parametrize(
    "name",
    ["a\nb", "a\x1b[31mred", "a\u202eb", "a\u200fb", "a\tb", "a\rb", "x" * 10_000, "<script>", "a'b\"c", "=cmd()"],
)
def test_names_are_data(name: str) -> None:
    model = nn.Module()
    model.add_module(name, nn.Linear(2, 2))
    text = audit(model).render("table", color=False)
    assert isinstance(text, str)
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert _narrowest(text) <= 80
    assert len(text.splitlines()) < 40
    assert audit(model).totals.parameters == 6


def test_the_elements_column_adds_up_to_the_totals(report: Report) -> None:
    text = report.render("table", width=200)
    assert isinstance(text, str)
    counted = {"parameter": 0, "buffer": 0, "hidden": 0, "attribute": 0}
    for line in text.splitlines():
        match = re.fullmatch(
            r"\S+(?: ×\d+)?(?: =\d+)? +(parameter|buffer|hidden|attribute) .* ([\d,]+)(?:  +\S+){4}", line
        )
        if match:
            counted[match[1]] += int(match[2].replace(",", ""))
    totals = report.totals
    assert counted == {
        "parameter": totals.parameters,
        "buffer": totals.buffers,
        "hidden": totals.hidden,
        "attribute": totals.attributes,
    }


def test_color_is_laid_over_the_same_text(report: Report) -> None:
    plain, colored = report.render("table"), report.render("table", color=True)
    assert isinstance(colored, str)
    assert re.sub("\x1b\\[[0-9;]*m", "", colored) == plain
    assert "\x1b[1;31mextra[0].weight" in colored
    assert "\x1b[36mblocks.[0-3].weight" in colored
    assert "\x1b" not in str(plain)


def test_without_folding_every_slot_has_its_row(report: Report) -> None:
    text = report.render("table", fold=False, width=120)
    assert isinstance(text, str)
    for path in report.slots:
        assert any(line.startswith(path + " ") for line in text.splitlines()), path


def test_a_path_glob_selects_rows_and_opens_folded_ones(report: Report) -> None:
    text = report.render("table", path="blocks.2.*")
    assert isinstance(text, str)
    assert "blocks.2.weight" in text
    assert "blocks.2.bias" in text
    assert "blocks.[0-3]" not in text
    assert "all params: 87" in text
    with pytest.raises(GlobError, match=r"no slot matches .block\.2."):
        report.render("table", path="block.2")


def test_a_model_without_tensors() -> None:
    text = audit(nn.ReLU()).render("table")
    assert text == (
        "ReLU, training mode\n\nno tensors: this model holds no parameters, buffers or tensor attributes\n\n"
        "trainable params: 0 || all params: 0 || trainable%: 0.0000\nmemory: 0 B\n"
    )


def test_wrong_formats_and_options_are_refused(report: Report) -> None:
    with pytest.raises(FormatError, match="no format 'tabel'"):
        report.render("tabel")
    with pytest.raises(FormatError, match="takes no option 'depht'"):
        report.render("table", depht=3)


@takes_names
def test_a_stranger_is_shown_with_what_replaced_it() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    optimizer = torch.optim.SGD(model.named_parameters(), lr=0.1)
    model[1].weight = nn.Parameter(torch.zeros(1, 3))
    text = audit(model, optimizer=optimizer).render("table", width=120)
    assert isinstance(text, str)
    assert "foreign: 1.weight 1×3 float32, not in the model; looks replaced by 1.weight (by name)" in text
    assert "trainable, but in no group, so never stepped:\n  1.weight\n" in text


def test_every_kind_of_sharing_is_spelled_out() -> None:
    array, base = np.zeros(4, dtype=np.float32), torch.zeros(9)
    model = nn.Module()
    model.a, model.b = (nn.Parameter(torch.from_numpy(array)) for _ in range(2))
    model.c, model.d, model.e = (nn.Parameter(view) for view in (base[:3], base[2:5], base[6:]))
    model.f = nn.Parameter(torch.zeros(1).expand(3))
    model.g = model.h = nn.Parameter(torch.zeros(2))
    text = str(audit(model).render("table", width=120))
    assert text.partition("\n\nsharing\n")[2].splitlines() == [
        "  ~1 aliased across 2 storages: a, b",
        "  +2 co-located: c, d, e",
        "  %3 overlapping: c, d",
        "  @4 self-overlapping: f",
        "  =5 tied: g, h",
    ]
    assert "\nc +2 %3" in text
    assert "\nf @4" in text


def test_shares_have_bars_where_they_are_asked_for_and_there_is_room() -> None:
    model = nn.Sequential(nn.Linear(3, 1, bias=False), nn.Linear(1, 1, bias=False))
    report = audit(model)

    def rows(**options: object) -> list[str]:
        text = report.render("table", **{"columns": "share,shape", "bars": True, "width": 100, **options})
        assert isinstance(text, str)
        return [line for line in text.splitlines() if ".weight" in line]

    assert rows() == ["0.weight  75.0% █████████  1×3", "1.weight  25.0% ███        1×1"]
    assert rows(encoding="ascii") == ["0.weight  75.0% #########  1×3", "1.weight  25.0% ###        1×1"]
    plain = ["0.weight   75.0%  1×3", "1.weight   25.0%  1×1"]
    assert rows(bars=False) == rows(width=99) == plain
    assert not any("█" in line for line in rows(columns="shape"))
    wide = nn.ModuleDict({"a" * 80: model})
    assert "█" not in str(audit(wide).render("table", columns="share,shape", bars=True, width=100))
