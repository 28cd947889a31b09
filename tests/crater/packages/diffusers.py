"""diffusers: U-Nets, autoencoders and transformers, each small, with adapters, and a user's trainer."""

from __future__ import annotations

from collections.abc import Iterator

import diffusers
import torch
from diffusers.training_utils import EMAModel
from torch import nn

from crater.built import Built

ROOTS = ("diffusers.models",)
HINTS = {
    "dim": 32,
    "channels": 32,
    "in_channels": 32,
    "out_channels": 32,
    "temb_channels": 32,
    "num_attention_heads": 2,
    "attention_head_dim": 16,
}


def _unet() -> diffusers.UNet2DConditionModel:
    return diffusers.UNet2DConditionModel(
        sample_size=16, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(32, 64), cross_attention_dim=32,
        attention_head_dim=8, norm_num_groups=8, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip


def conditional_unet() -> Built:
    """Stable Diffusion's."""
    return Built(_unet(), (torch.randn(1, 4, 16, 16), torch.tensor(10), torch.randn(1, 4, 32)))


def unet() -> Built:
    """Without a condition."""
    model = diffusers.UNet2DModel(
        sample_size=16,
        layers_per_block=1,
        block_out_channels=(32, 64),
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )
    return Built(model, (torch.randn(1, 3, 16, 16), torch.tensor(10)))


def autoencoders() -> Iterator[Built]:
    """Two of them."""
    x = torch.randn(1, 3, 16, 16)
    yield Built(
        diffusers.AutoencoderKL(block_out_channels=(32,), norm_num_groups=8, latent_channels=4), (x,), name="KL"
    )
    yield Built(diffusers.VQModel(block_out_channels=(32,), norm_num_groups=8, num_vq_embeddings=16), (x,), name="VQ")
    yield Built(
        diffusers.AutoencoderTiny(
            encoder_block_out_channels=(16, 16),
            decoder_block_out_channels=(16, 16),
            num_encoder_blocks=(1, 1),
            num_decoder_blocks=(1, 1),
        ),
        (x,),
        name="Tiny",
    )


def transformer() -> Built:
    """DiT."""
    model = diffusers.DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        num_layers=2,
        sample_size=8,
        num_embeds_ada_norm=10,
        norm_num_groups=4,
    )
    return Built(model)


class Trainer(nn.Module):
    """A frozen autoencoder, and the U-Net that is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.vae = diffusers.AutoencoderKL(block_out_channels=(32,), norm_num_groups=8, latent_channels=4)
        self.vae.requires_grad_(False)
        self.unet = _unet()
        self.scheduler = diffusers.DDPMScheduler(num_train_timesteps=10)

    def forward(self, image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        latents = self.vae.encode(image).latent_dist.sample()
        noise, time = torch.randn_like(latents), torch.tensor([3])
        return self.unet(self.scheduler.add_noise(latents, noise, time), time, text).sample - noise


def as_user_code() -> Built:
    """With diffusers' average."""
    model = Trainer()
    average = EMAModel(model.unet.parameters())
    optimizer = torch.optim.AdamW(model.unet.parameters(), lr=1e-4)

    def step() -> None:
        model(torch.randn(1, 3, 16, 16), torch.randn(1, 4, 32)).pow(2).mean().backward()
        optimizer.step()
        average.step(model.unet.parameters())

    return Built(model, optimizer=optimizer, step=step)
