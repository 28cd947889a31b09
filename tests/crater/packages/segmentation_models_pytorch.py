"""segmentation-models-pytorch: decoders over encoders, and its losses."""

from __future__ import annotations

from collections.abc import Iterator

import segmentation_models_pytorch as smp
import torch

from crater.built import Built


def models() -> Iterator[Built]:
    """Every architecture over a small encoder."""
    for name in (
        "Unet",
        "UnetPlusPlus",
        "MAnet",
        "Linknet",
        "FPN",
        "PSPNet",
        "DeepLabV3",
        "DeepLabV3Plus",
        "PAN",
        "UPerNet",
    ):
        model = getattr(smp, name)("resnet18", encoder_weights=None, classes=2)
        yield Built(model, (torch.randn(2, 3, 64, 64),), name=name)
    yield Built(
        smp.Segformer("mit_b0", encoder_weights=None, classes=2), (torch.randn(2, 3, 64, 64),), name="Segformer"
    )
    yield Built(smp.DPT("tu-vit_tiny_patch16_224", encoder_weights=None, classes=2), name="DPT")
    for encoder in (
        "efficientnet-b0",
        "mobilenet_v2",
        "timm-regnetx_002",
        "densenet121",
        "vgg11",
        "xception",
        "inceptionv4",
        "tu-convnext_atto",
        "mobileone_s0",
        "se_resnet50",
        "dpn68",
    ):
        yield Built(smp.Unet(encoder, encoder_weights=None), name=encoder)
