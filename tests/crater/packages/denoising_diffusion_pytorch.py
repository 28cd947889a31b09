"""denoising-diffusion-pytorch: diffusion over its own U-Nets."""

from __future__ import annotations

from collections.abc import Iterator

import denoising_diffusion_pytorch as ddp
import torch

from crater.built import Built

HINTS = {"dim": 16, "channels": 3, "image_size": 32, "heads": 2, "dim_head": 8}
SKIP = dict.fromkeys(("FIDEvaluation",), "it loads weights from the network")


def diffusions() -> Iterator[Built]:
    """As the README builds them, smaller."""
    images = (torch.rand(2, 3, 32, 32),)

    def unet(**options: object) -> torch.nn.Module:
        return ddp.Unet(dim=16, dim_mults=(1, 2), flash_attn=False, **options)

    yield Built(ddp.GaussianDiffusion(unet(), image_size=32, timesteps=10), images, name="Gaussian")
    yield Built(
        ddp.LearnedGaussianDiffusion(unet(learned_variance=True), image_size=32, timesteps=10), images, name="Learned"
    )
    yield Built(
        ddp.ContinuousTimeGaussianDiffusion(unet(learned_sinusoidal_cond=True), image_size=32, num_sample_steps=10),
        images,
        name="Continuous",
    )
    yield Built(
        ddp.ElucidatedDiffusion(unet(learned_sinusoidal_cond=True), image_size=32, num_sample_steps=4),
        images,
        name="Elucidated",
    )
    yield Built(
        ddp.GaussianDiffusion1D(ddp.Unet1D(dim=16, dim_mults=(1, 2), channels=4), seq_length=32, timesteps=10),
        (torch.rand(2, 4, 32),),
        name="1D",
    )
    yield Built(
        ddp.KarrasUnet(
            image_size=32,
            dim=16,
            dim_max=32,
            num_downsamples=1,
            attn_res=(16,),
            num_blocks_per_stage=1,
            fourier_dim=16,
            num_classes=None,
        ),
        name="Karras",
    )


def guided() -> Built:
    """Free of a classifier, with its average."""
    from denoising_diffusion_pytorch.classifier_free_guidance import GaussianDiffusion, Unet
    from ema_pytorch import EMA

    model = GaussianDiffusion(
        Unet(dim=16, dim_mults=(1, 2), num_classes=10, cond_drop_prob=0.5), image_size=32, timesteps=10
    )
    average = EMA(model, beta=0.995, update_every=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.99))

    def step() -> None:
        model(torch.rand(2, 3, 32, 32), classes=torch.randint(0, 10, (2,))).backward()
        optimizer.step()
        average.update()

    return Built({"model": model, "ema": average}, optimizer=optimizer, step=step)
