"""A run beside torchinfo: the same shapes, and the same multiplications where both count the same."""

from __future__ import annotations

import pytest
import torch
import torchinfo
from support.tiny_transformers import gpt2
from torch import nn

from paramscope import audit


class UNet(nn.Module):
    """Down, up, and across."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.deep = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.GELU())
        self.up = nn.Upsample(scale_factor=2)
        self.out = nn.Conv2d(24, 2, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        first = self.down(x)
        found: torch.Tensor = self.out(torch.cat([first, self.up(self.deep(first))], 1))
        return found


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (UNet(), torch.zeros(2, 3, 16, 16)),
        (nn.Sequential(nn.Linear(6, 5, bias=False), nn.ReLU(), nn.Linear(5, 4, bias=False)), torch.zeros(7, 6)),
        (nn.LSTM(3, 4, 2), torch.zeros(5, 1, 3)),
        (gpt2(), torch.arange(12).view(2, 6) % 11),
    ],
    ids=["UNet", "linear", "LSTM", "GPT-2"],
)
def test_the_same_shapes_and_multiplications(model: nn.Module, x: torch.Tensor) -> None:
    theirs = torchinfo.summary(model, input_data=x, verbose=0, depth=99)
    report = audit(model, inputs=x)
    paths = {id(module): path for path, module in model.named_modules()}
    layers = [layer for layer in theirs.summary_list if layer.is_leaf_layer]
    assert layers
    for layer in layers:
        mine = report.modules[paths[id(layer.module)]]
        if mine.calls == 1:
            assert "×".join(map(str, layer.output_size)) in (mine.output or ""), mine
        if isinstance(layer.module, (nn.Conv2d, nn.Linear)) and x.is_floating_point():
            assert mine.flops == 2 * layer.macs
    # What is tied, torchinfo counts under each of its names.
    assert report.totals.by_name == theirs.total_params
