"""The models that are measured, each built when its turn comes and dropped after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

FAN_OUT = 10
"""Children of every inner module of a tree."""
TREE_SIZES = (1_000, 10_000, 100_000, 1_000_000)
"""Modules in each tree, the root included."""
TREE_LEAF = (
    f"Every tree is balanced with fan-out {FAN_OUT}; a leaf is a module that holds one float32 Parameter of "
    "one element, and an inner module holds nothing but its children."
)

VIEW_COUNTS = (1_000, 10_000, 100_000)
"""Columns of one matrix, each a buffer of its own: strided views that interleave and never meet."""


class Subject(NamedTuple):
    """One model to measure."""

    name: str
    what: str
    """How it is made, for readers."""
    build: Callable[[], nn.Module]
    is_small: bool = True
    """Whether `--quick` measures it."""
    is_judged: bool = True
    """Whether the targets are meant for it; the others show where capture is dearest."""


class Expert(nn.Module):
    """Three bias-free Linears, as the experts of Mixtral have them, but tiny."""

    def __init__(self) -> None:
        super().__init__()
        self.w1 = nn.Linear(2, 2, bias=False)
        self.w2 = nn.Linear(2, 2, bias=False)
        self.w3 = nn.Linear(2, 2, bias=False)


class Leaf(nn.Module):
    """The end of a tree: one Parameter of one element."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class Branch(nn.Module):
    """An inner module of a tree."""


def moe(experts: int = 667) -> nn.Module:
    """50 layers of 667 experts: 100,050 tensors, and as many slots that are empty."""
    return nn.ModuleList(nn.ModuleList(Expert() for _ in range(experts)) for _ in range(50))


def tree(size: int) -> nn.Module:
    """A balanced tree of exactly `size` modules, numbered level by level as a heap is."""
    inner = (size - 2) // FAN_OUT
    modules = [Branch() if number <= inner else Leaf() for number in range(size)]
    for number in range(1, size):
        parent, place = divmod(number - 1, FAN_OUT)
        modules[parent].add_module(str(place), modules[number])
    return modules[0]


def resnet50() -> nn.Module:
    """ResNet-50 as transformers builds it by default."""
    from transformers import ResNetConfig, ResNetModel

    return ResNetModel(ResNetConfig())


def gpt2() -> nn.Module:
    """GPT-2 with its language-model head, which is tied to the embedding."""
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(GPT2Config())


def gpt2_lora() -> nn.Module:
    """GPT-2 with LoRA adapters on its attention."""
    from peft import LoraConfig, get_peft_model

    model: nn.Module = get_peft_model(gpt2(), LoraConfig(r=8, target_modules=["c_attn"], fan_in_fan_out=True))
    return model


def llama70b() -> nn.Module:
    """A Llama of 70 billion parameters, without memory for one of them."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=128_256,
        hidden_size=8_192,
        intermediate_size=28_672,
        num_hidden_layers=80,
        num_attention_heads=64,
        num_key_value_heads=8,
    )
    with torch.device("meta"):
        return LlamaForCausalLM(config)


def trillion() -> nn.Module:
    """The MoE of docs/large.md, 96 layers of 128 experts: 1.02 trillion parameters, and no memory for one of them."""
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    config = Qwen3MoeConfig(
        hidden_size=8192,
        num_hidden_layers=96,
        num_attention_heads=64,
        num_key_value_heads=8,
        num_experts=128,
        moe_intermediate_size=3328,
    )
    with torch.device("meta"):
        return Qwen3MoeForCausalLM(config)


def lstms() -> nn.Module:
    """300 LSTMs of two layers, each of which keeps a second, flat list of its weights."""
    return nn.ModuleList(nn.LSTM(2, 2, num_layers=2) for _ in range(300))


def encoders() -> nn.Module:
    """200 TransformerEncoderLayers, each of which keeps a function among its attributes."""
    return nn.ModuleList(nn.TransformerEncoderLayer(8, 2, 8) for _ in range(200))


RESNET50 = Subject("ResNet-50", "transformers `ResNetModel(ResNetConfig())`", resnet50)
GPT2 = Subject("GPT-2", "transformers `GPT2LMHeadModel(GPT2Config())`", gpt2)
GPT2_LORA = Subject("GPT-2 + LoRA", "the same with peft's LoRA, r=8, on every `c_attn`", gpt2_lora)
LLAMA = Subject("Llama 70B", "transformers `LlamaForCausalLM`, 80 layers of 8,192, on meta", llama70b)
LSTMS = Subject("LSTMs", "300 × `nn.LSTM(2, 2, num_layers=2)`", lstms, is_judged=False)
ENCODERS = Subject("encoders", "200 × `nn.TransformerEncoderLayer(8, 2, 8)`", encoders, is_judged=False)
MOE = Subject("MoE", "50 layers × 667 experts × 3 bias-free `nn.Linear(2, 2)`", moe, is_small=False)

SUBJECTS = (RESNET50, GPT2, GPT2_LORA, LLAMA, LSTMS, ENCODERS, MOE)


def tree_subject(size: int) -> Subject:
    """The tree of a given number of modules."""
    return Subject(f"tree {size:,}", "see above", lambda: tree(size), size <= 10_000)


def columns(count: int) -> nn.Module:
    """So many strided views of one storage, in modules of a hundred."""
    views = iter(torch.zeros(10, count).unbind(1))
    model = nn.ModuleList(nn.Module() for _ in range(count // 100))
    for module in model:
        for i in range(100):
            module.register_buffer(f"b{i}", next(views))
    return model


def views_subject(count: int) -> Subject:
    """The model of a given number of views."""
    return Subject(f"views {count:,}", "see above", lambda: columns(count), count <= 10_000, is_judged=False)


def tensor_count(model: nn.Module) -> int:
    """Names of parameters and buffers, as B lists them."""
    parameters = sum(1 for _ in model.named_parameters(remove_duplicate=False))
    return parameters + sum(1 for _ in model.named_buffers(remove_duplicate=False))


def module_count(model: nn.Module) -> int:
    """Names of modules, as B lists them."""
    return sum(1 for _ in model.named_modules(remove_duplicate=False))
