"""monai: networks for medical images, losses, and a user's model."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from monai import losses
from monai.networks import nets
from torch import nn

from crater.built import Built

ROOTS = ("monai.networks", "monai.losses")
HINTS = {
    "spatial_dims": 2,
    "in_channels": 4,
    "out_channels": 4,
    "img_size": (32, 32),
    "patch_size": (8, 8),
    "channels": (8, 16),
    "strides": (2,),
    "num_res_units": 1,
    "hidden_size": 16,
    "mlp_dim": 16,
    "num_heads": 2,
    "kernel_size": 3,
    "stride": 1,
    "num_layers": 2,
    "dimensions": 2,
    "roi_size": (32, 32),
    "strides_": 1,
    "norm_num_groups": 4,
    "scale_factor": 2,
    "image_size": 32,
    "in_shape": (1, 32, 32),
    "out_shape": (4,),
    "num_channels": (8, 16),
    "num_tokens": 16,
    "max_seq_len": 16,
    "attn_layers_dim": 16,
    "attn_layers_depth": 1,
    "attn_layers_heads": 2,
}


def networks() -> Iterator[Built]:
    """As its tutorials build them."""
    x = (torch.randn(1, 1, 32, 32),)
    yield Built(nets.UNet(2, 1, 2, (8, 16, 32), (2, 2), num_res_units=1), x, name="UNet")
    yield Built(nets.BasicUNet(2, 1, 2, (8, 8, 16, 16, 32, 8)), x, name="BasicUNet")
    yield Built(nets.AttentionUnet(2, 1, 2, (8, 16), (2,)), x, name="AttentionUnet")
    yield Built(nets.SegResNet(2, 8, 1, 2), x, name="SegResNet")
    yield Built(
        nets.SegResNetVAE((32, 32), spatial_dims=2, init_filters=8, in_channels=1, out_channels=2, vae_nz=8),
        x,
        name="SegResNetVAE",
    )
    yield Built(nets.UNETR(1, 2, (32, 32), 8, 16, 32, 2, spatial_dims=2), x, name="UNETR")
    yield Built(nets.SwinUNETR(in_channels=1, out_channels=2, feature_size=12, spatial_dims=2), name="SwinUNETR")
    yield Built(
        nets.DynUNet(
            2, 1, 2, [3, 3, 3], [1, 2, 2], [2, 2], filters=[8, 16, 32], deep_supervision=True, deep_supr_num=1
        ),
        x,
        name="DynUNet",
    )
    yield Built(nets.ViT(1, (32, 32), (8, 8), 16, 32, 2, 2, classification=True, spatial_dims=2), x, name="ViT")
    yield Built(nets.DenseNet121(2, 1, 2), x, name="DenseNet121")
    yield Built(nets.VarAutoEncoder(2, (1, 32, 32), 1, 4, (8, 16), (1, 2)), x, name="VarAutoEncoder")
    yield Built(nets.AHNet(spatial_dims=2, in_channels=1, out_channels=2), name="AHNet")
    yield Built(nets.HighResNet(2, 1, 2), x, name="HighResNet")
    yield Built(
        nets.VQVAE(
            2,
            1,
            1,
            (8, 16),
            8,
            1,
            ((2, 4, 1, 1), (2, 4, 1, 1)),
            ((2, 4, 1, 1, 0), (2, 4, 1, 1, 0)),
            num_embeddings=16,
            embedding_dim=8,
        ),
        x,
        name="VQVAE",
    )


def criteria() -> Iterator[Built]:
    """After a call each."""
    pair = (torch.randn(2, 2, 16, 16, requires_grad=True), torch.randint(0, 2, (2, 1, 16, 16)))
    for name in ("DiceLoss", "DiceCELoss", "DiceFocalLoss", "FocalLoss", "TverskyLoss", "GeneralizedDiceLoss"):
        yield Built(
            getattr(losses, name)(to_onehot_y=True, softmax=True)
            if name != "FocalLoss"
            else losses.FocalLoss(to_onehot_y=True),
            pair,
            name=name,
        )


class Segmenter(nn.Module):
    """A network and its losses."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nets.BasicUNet(2, 1, 2, (8, 8, 16, 16, 32, 8))
        self.dice = losses.DiceCELoss(to_onehot_y=True, softmax=True, weight=torch.tensor([1.0, 2.0]))
        self.surface = losses.LocalNormalizedCrossCorrelationLoss(spatial_dims=2)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        out = self.net(x)
        return self.dice(out, y) + self.surface(out[:, :1], x)


def as_user_code() -> Built:
    """A user's segmenter."""
    return Built(Segmenter(), (torch.randn(1, 1, 32, 32), torch.randint(0, 2, (1, 1, 32, 32))))
