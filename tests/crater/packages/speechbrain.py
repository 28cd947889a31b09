"""speechbrain: layers of speech models, and a user's recognizer."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.CRDNN import CRDNN
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
from speechbrain.lobes.models.transformer.TransformerASR import TransformerASR
from speechbrain.nnet.RNN import LiGRU
from speechbrain.processing.features import InputNormalization
from torch import nn

from crater.built import Built

ROOTS = ("speechbrain.nnet", "speechbrain.lobes", "speechbrain.processing")
HINTS = {
    "input_shape": (2, 16, 16),
    "input_size": 16,
    "hidden_size": 16,
    "n_neurons": 16,
    "out_channels": 16,
    "in_channels": 16,
    "kernel_size": 3,
    "d_model": 16,
    "d_ffn": 32,
    "nhead": 2,
    "num_layers": 1,
    "tgt_vocab": 16,
}


def models() -> Iterator[Built]:
    """As its recipes configure them."""
    yield Built(ECAPA_TDNN(16, lin_neurons=8, channels=[16] * 5), (torch.randn(2, 32, 16),), name="ECAPA_TDNN")
    yield Built(
        CRDNN(input_shape=(2, 32, 16), cnn_channels=(4, 4), rnn_neurons=8, dnn_neurons=8),
        (torch.randn(2, 32, 16),),
        name="CRDNN",
    )
    yield Built(
        LiGRU(input_shape=(2, 16, 16), hidden_size=8, bidirectional=True), (torch.randn(2, 16, 16),), name="LiGRU"
    )
    for encoder in ("transformer", "conformer"):
        model = TransformerASR(
            tgt_vocab=16,
            input_size=16,
            d_model=16,
            nhead=2,
            num_encoder_layers=1,
            num_decoder_layers=1,
            d_ffn=32,
            encoder_module=encoder,
            attention_type="RelPosMHAXL" if encoder == "conformer" else "regularMHA",
            normalize_before=True,
            causal=False,
        )
        yield Built(model, (torch.randn(2, 32, 16), torch.randint(1, 16, (2, 8))), name=encoder)


class Recognizer(nn.Module):
    """Features, their normalization, and a network."""

    def __init__(self) -> None:
        super().__init__()
        self.features = Fbank(n_mels=16)
        self.normalize = InputNormalization()
        self.net = LiGRU(input_shape=(2, 16, 16), hidden_size=8)
        self.head = nn.Linear(8, 4)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        x = self.normalize(self.features(wave), torch.ones(wave.shape[0]))
        return self.head(self.net(x)[0])


def as_user_code() -> Built:
    """A user's recognizer."""
    return Built(Recognizer(), (torch.randn(2, 4000),))
