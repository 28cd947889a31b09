"""What the oldest versions that are admitted lack: tests that need it are skipped there, or do without."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import nn
from torch.optim.optimizer import ParamsT

TORCH = tuple(map(int, torch.__version__.split(".")[:2]))
_HAS_NAMES = "tuple[str" in str(ParamsT).lower()
takes_names = pytest.mark.skipif(not _HAS_NAMES, reason="optimizers of this torch take no names (before 2.6)")


def named_parameters(model: nn.Module) -> Iterator[Any]:
    """What an optimizer is given: with names, where it takes them."""
    return model.named_parameters() if _HAS_NAMES else model.parameters()


def as_here(text: str) -> str:
    """What the newest torch shows of an AdamW, as this one does: that of older ones has an option less."""
    option = "decoupled_weight_decay"
    is_there = option in torch.optim.AdamW([nn.Parameter(torch.ones(1))]).defaults
    return text if is_there else re.sub(rf",\s+{option} True", "", text)


def runner() -> CliRunner:
    """What runs a command in this process and tells its stderr from its stdout, which click 8.1 is asked for."""
    is_asked = "mix_stderr" in inspect.signature(CliRunner).parameters
    options: Any = {"mix_stderr": False} if is_asked else {}
    return CliRunner(**options)
