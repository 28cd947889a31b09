"""piq: measures of image quality that are modules."""

from __future__ import annotations

from collections.abc import Iterator

import piq
import torch

from crater.built import Built

SKIP = dict.fromkeys(
    ("LPIPS", "PieAPP", "DISTS", "BRISQUELoss", "CLIPIQA", "FID", "InceptionV3"), "it loads weights from the network"
)


def criteria() -> Iterator[Built]:
    """Those that need no weights."""
    x = torch.rand(2, 3, 64, 64, requires_grad=True)
    for name in (
        "SSIMLoss",
        "VIFLoss",
        "GMSDLoss",
        "VSILoss",
        "HaarPSILoss",
        "MDSILoss",
        "TVLoss",
        "FSIMLoss",
        "SRSIMLoss",
    ):
        loss = getattr(piq, name)()
        if name != "TVLoss":
            loss(x, torch.rand(2, 3, 64, 64))
        yield Built(loss, name=f"{name} after a call")
