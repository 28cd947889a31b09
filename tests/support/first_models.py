"""The models that people look at first: real architectures, and a ResNet as torchvision builds it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks import models


class BasicBlock(nn.Module):
    """Two convolutions, with a third beside them where the shape changes."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        if stride != 1 or into != out:
            self.downsample = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))


class ResNet18(nn.Module):
    """The names and shapes of torchvision's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        into = 64
        for number, out in enumerate((64, 128, 256, 512), 1):
            first = BasicBlock(into, out, 1 if number == 1 else 2)
            self.add_module(f"layer{number}", nn.Sequential(first, BasicBlock(out, out, 1)))
            into = out
        self.fc = nn.Linear(512, 1000)


def transformers_resnet18() -> nn.Module:
    """A fine-tune: the body is frozen, its norms are not in eval mode."""
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(layer_type="basic", depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], num_labels=10)
    model: Any = ResNetForImageClassification(config)
    model.resnet.requires_grad_(False)
    return model


def gpt2_lora() -> nn.Module:
    """GPT-2 with peft's LoRA."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a name that will go
        return models.gpt2_lora()


def deepseek_v3() -> nn.Module:
    """671 billion parameters, on meta."""
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

    with torch.device("meta"):
        return DeepseekV3ForCausalLM(DeepseekV3Config())


def lstm() -> nn.Module:
    """A language model of the old kind."""
    model = nn.Module()
    model.embed = nn.Embedding(1000, 64, padding_idx=0)
    model.lstm = nn.LSTM(64, 128, num_layers=2, batch_first=True)
    model.head = nn.Linear(128, 1000)
    return model


def gan() -> dict[str, nn.Module]:
    """Two roots."""
    generator = nn.Sequential(nn.ConvTranspose2d(100, 64, 4), nn.BatchNorm2d(64), nn.ConvTranspose2d(64, 3, 4))
    return {"gen": generator, "disc": nn.Sequential(nn.Conv2d(3, 64, 4), nn.Conv2d(64, 1, 4))}


MODELS: dict[str, Callable[[], Any]] = {
    "resnet18": ResNet18,
    "resnet18_transformers": transformers_resnet18,
    "gpt2_lora": gpt2_lora,
    "llama_70b": models.llama70b,
    "deepseek_v3": deepseek_v3,
    "lstm": lstm,
    "gan": gan,
}


def gpt2_half_frozen() -> nn.Module:
    """GPT-2 with the lower six of its twelve blocks frozen, on meta."""
    from transformers import GPT2Config, GPT2LMHeadModel

    with torch.device("meta"):
        model: Any = GPT2LMHeadModel(GPT2Config())
    model.transformer.h[:6].requires_grad_(False)
    return model


def llama_70b_thawed() -> nn.Module:
    """Layer 7 of 80 trains, and nothing else."""
    model: Any = models.llama70b()
    model.requires_grad_(False)
    model.model.layers[7].requires_grad_(True)
    return model


def moe_experts_frozen() -> nn.Module:
    """50 layers that are all alike: of the 12 experts in each, one is frozen, and one in part."""
    layers: Any = models.moe(12)
    for layer in layers:
        layer[2].requires_grad_(False)
        layer[10].w1.requires_grad_(False)
    return nn.ModuleDict({"layers": layers, "head": nn.Linear(2, 2)})


PARTLY: dict[str, Callable[[], nn.Module]] = {
    "gpt2_half_frozen": gpt2_half_frozen,
    "llama_70b_thawed": llama_70b_thawed,
    "moe_experts_frozen": moe_experts_frozen,
}
"""Models whose blocks differ in what of them trains."""
