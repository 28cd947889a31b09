"""nnAudio: spectrograms as layers, fixed and trained."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from nnAudio import features
from torch import nn

from crater.built import Built

IMPORT = "nnAudio"
ROOTS = ("nnAudio.features",)


def spectrograms() -> Iterator[Built]:
    """As its documentation lists them."""
    x = (torch.randn(1, 22050),)
    yield Built(features.STFT(n_fft=256, verbose=False), x, name="STFT")
    yield Built(features.STFT(n_fft=256, trainable=True, iSTFT=True, verbose=False), name="trained STFT")
    yield Built(features.MelSpectrogram(n_fft=256, n_mels=16, verbose=False), x, name="MelSpectrogram")
    yield Built(
        features.MelSpectrogram(n_fft=256, n_mels=16, trainable_mel=True, trainable_STFT=True, verbose=False),
        x,
        name="trained MelSpectrogram",
    )
    yield Built(features.MFCC(n_mfcc=8, verbose=False), x, name="MFCC")
    yield Built(features.CQT1992v2(n_bins=24, verbose=False), x, name="CQT1992v2")
    yield Built(features.CQT2010v2(n_bins=48, verbose=False), x, name="CQT2010v2")
    yield Built(features.Gammatonegram(n_fft=256, n_bins=16, verbose=False), x, name="Gammatonegram")
    yield Built(features.Griffin_Lim(256), name="Griffin_Lim")


class Tagger(nn.Module):
    """Looks at a spectrogram that it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrogram = features.MelSpectrogram(n_fft=256, n_mels=16, trainable_mel=True, verbose=False)
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.spectrogram(x).mean(-1))


def as_user_code() -> Built:
    """A user's tagger."""
    return Built(Tagger(), (torch.randn(1, 22050),))
