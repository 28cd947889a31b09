"""braindecode: networks for EEG."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from braindecode import models
from torch import nn

from crater.built import Built, Refused

ROOTS = ("braindecode.models", "braindecode.modules")
HINTS = {
    "n_chans": 4,
    "n_outputs": 2,
    "n_times": 1000,
    "sfreq": 250.0,
    "in_channels": 4,
    "out_channels": 4,
    "kernel_size": 3,
    "input_window_seconds": 4.0,
}


def networks() -> Iterator[Built | Refused]:
    """Every one that takes the usual arguments."""
    for name in (
        sorted(models.__all__) if hasattr(models, "__all__") else sorted(n for n in vars(models) if n[0].isupper())
    ):
        cls = getattr(models, name)
        if not issubclass(cls, nn.Module):
            continue
        try:
            model = cls(n_chans=4, n_outputs=2, n_times=1000, sfreq=250)
        except Exception as error:  # noqa: BLE001  # this one wants more
            yield Refused(name, error)
            continue
        yield Built(
            model,
            (torch.randn(2, 4, 1000),)
            if name in ("EEGNet", "ShallowFBCSPNet", "Deep4Net", "EEGConformer", "ATCNet", "TCN")
            else None,
            name=name,
        )
