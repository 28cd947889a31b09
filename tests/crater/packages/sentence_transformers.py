"""sentence-transformers: a model from a configuration, its losses, and a user's encoder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import torch
from sentence_transformers import SentenceTransformer, losses, models
from torch import nn
from transformers import BertConfig, BertModel, BertTokenizer

from crater.built import Built

ROOTS = ("sentence_transformers.models", "sentence_transformers.losses")


def _model() -> SentenceTransformer:
    folder = Path(mkdtemp())
    (folder / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"]), encoding="utf-8"
    )
    BertModel(
        BertConfig(vocab_size=8, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    ).save_pretrained(folder)
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    words = models.Transformer(str(folder))
    return SentenceTransformer(
        modules=[words, models.Pooling(16), models.Dense(16, 8), models.Normalize()], device="cpu"
    )


def model_and_losses() -> Iterator[Built]:
    """Losses hold the model that they train."""
    model = _model()
    yield Built(model, name="model")
    for name, options in {
        "CosineSimilarityLoss": {},
        "MultipleNegativesRankingLoss": {},
        "TripletLoss": {},
        "ContrastiveLoss": {},
        "SoftmaxLoss": {"sentence_embedding_dimension": 8, "num_labels": 3},
        "CoSENTLoss": {},
        "MSELoss": {},
        "CachedMultipleNegativesRankingLoss": {},
        "DenoisingAutoEncoderLoss": None,
        "BatchHardTripletLoss": {},
    }.items():
        if options is not None:
            yield Built(getattr(losses, name)(model, **options), name=name)
    yield Built(
        losses.MatryoshkaLoss(model, losses.MultipleNegativesRankingLoss(model), [8, 4]), name="MatryoshkaLoss"
    )


class Ranker(nn.Module):
    """An encoder under a head."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = _model()
        self.head = nn.Linear(8, 1)

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.head(self.encoder(features)["sentence_embedding"])


def as_user_code() -> Built:
    """A user's ranker."""
    model = Ranker()
    return Built(model, loss=lambda: model(model.encoder.tokenize(["a b", "c"])).sum())
