"""rtdl-revisiting-models: with the optimizers that they make."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from rtdl_revisiting_models import MLP, FTTransformer, ResNet

from crater.built import Built


def models() -> Iterator[Built]:
    """As the README builds them."""
    x = torch.randn(4, 3)
    yield Built(MLP(d_in=3, d_out=1, n_blocks=2, d_block=16, dropout=0.1), (x,), name="MLP")
    yield Built(
        ResNet(
            d_in=3,
            d_out=1,
            n_blocks=2,
            d_block=16,
            d_hidden=None,
            d_hidden_multiplier=2.0,
            dropout1=0.3,
            dropout2=0.0,
        ),
        (x,),
        name="ResNet",
    )
    model = FTTransformer(n_cont_features=3, cat_cardinalities=[4, 5], d_out=1, **FTTransformer.get_default_kwargs(1))
    yield Built(model, (x, torch.randint(0, 4, (4, 2))), model.make_default_optimizer(), name="FTTransformer")
