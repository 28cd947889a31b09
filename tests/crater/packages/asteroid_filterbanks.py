"""asteroid-filterbanks: encoders and decoders over learned or fixed filters."""

from __future__ import annotations

from collections.abc import Iterator

import asteroid_filterbanks as fb
import torch
from torch import nn

from crater.built import Built, Refused


def filterbanks() -> Iterator[Built | Refused]:
    """Each, as an encoder and its decoder."""
    for name in ("free", "analytic_free", "param_sinc", "stft", "mpgtf"):
        options = {"n_filters": 64, "kernel_size": 32}
        if name == "mpgtf":
            options = {"n_filters": 64, "kernel_size": 32, "sample_rate": 16000}
        try:
            encode, decode = fb.make_enc_dec(name, **options)
        except Exception as error:  # noqa: BLE001  # this filterbank wants other sizes
            yield Refused(name, error)
            continue
        yield Built(nn.ModuleDict({"encode": encode, "decode": decode}), name=name)


class Separator(nn.Module):
    """A mask between an encoder and its decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = fb.make_enc_dec("free", n_filters=32, kernel_size=16, stride=8)
        self.mask = nn.Conv1d(32, 32, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = self.encode(x)
        return self.decode(seen * self.mask(seen).sigmoid())


def as_user_code() -> Built:
    """A user's separator."""
    return Built(Separator(), (torch.randn(2, 1, 256),))
