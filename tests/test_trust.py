"""No rule warns of a correct model, whatever library wrapped it: fresh, half frozen, in eval mode, with an AdamW in two
groups, and with the gradients of a step. What transformers builds is the zoo's; layers of torch are with them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from support.language_model import Net
from torch import nn
from torch.nn.utils import parametrizations, prune
from zoo.trust import STATES, suspicions


def convolutions() -> nn.Module:
    """With batch norms."""
    return nn.Sequential(
        *(nn.Sequential(nn.Conv2d(3, 3, 3, bias=False), nn.BatchNorm2d(3), nn.ReLU()) for _ in range(4)),
        nn.Flatten(),
        nn.LazyLinear(2),
    )


def averaged() -> nn.Module:
    """An average of weights, as it is kept beside a model, with its own."""
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    model = Net()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    average.update_parameters(model)
    return average


def pruned() -> nn.Module:
    """Half of each linear's weights masked."""
    model = Net(tied=False)
    for block in model.blocks:
        prune.l1_unstructured(block.up, "weight", 0.5)
        prune.random_structured(block.down, "weight", 0.5, dim=0)
    return model


def normed(norm: Callable[..., nn.Module]) -> nn.Module:
    """A norm of weights on each linear."""
    model = Net(tied=False)
    for block in model.blocks:
        norm(block.up)
        norm(block.down)
    return model


def quantized() -> nn.Module:
    """Linears of eight bits."""
    return torch.ao.quantization.quantize_dynamic(Net(tied=False).eval(), {nn.Linear}, dtype=torch.qint8)


def gpt2(**options: Any) -> nn.Module:
    """A small GPT-2."""
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(n_layer=3, n_head=2, n_embd=8, vocab_size=30, n_positions=16, **options)
    return transformers.GPT2LMHeadModel(config)


def adapted(kind: str, **options: Any) -> nn.Module:
    """A GPT-2 in one of peft's wrappers."""
    peft = pytest.importorskip("peft")
    return peft.get_peft_model(gpt2(), getattr(peft, kind)(task_type="CAUSAL_LM", **options))


def offloaded() -> nn.Module:
    """Weights on the disk's side of accelerate's hooks."""
    accelerate = pytest.importorskip("accelerate")
    return accelerate.cpu_offload(Net(tied=False), execution_device=torch.device("cpu"))


def traced() -> nn.Module:
    """An fx graph."""
    return torch.fx.symbolic_trace(nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2)))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "plain": Net,
    "untied": lambda: Net(tied=False),
    "convolutions": convolutions,
    "recurrent": lambda: nn.Sequential(nn.LSTM(4, 4, 2, bidirectional=True), nn.GRU(8, 4)),
    "averaged": averaged,
    "compiled": lambda: cast(nn.Module, torch.compile(Net())),
    "scripted": lambda: torch.jit.script(nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))),
    "fx": traced,
    "pruned": pruned,
    "weight norm": lambda: normed(parametrizations.weight_norm),
    "spectral norm": lambda: normed(parametrizations.spectral_norm),
    "orthogonal": lambda: normed(parametrizations.orthogonal),
    "old weight norm": lambda: normed(torch.nn.utils.weight_norm),
    "old spectral norm": lambda: normed(torch.nn.utils.spectral_norm),
    "quantized": quantized,
    "copied": lambda: copy.deepcopy(Net()),
    "meta": lambda: Net().to("meta"),
    "bfloat16": lambda: Net().bfloat16(),
    "gpt2": gpt2,
    "LoRA": lambda: adapted("LoraConfig", r=2),
    "LoRA with a head": lambda: adapted("LoraConfig", r=2, modules_to_save=["score", "ln_f"]),
    "IA3": lambda: adapted("IA3Config", target_modules=["c_attn", "mlp.c_proj"], feedforward_modules=["mlp.c_proj"]),
    "prompt": lambda: adapted("PromptTuningConfig", num_virtual_tokens=4),
    "prefix": lambda: adapted("PrefixTuningConfig", num_virtual_tokens=4),
    "offloaded": offloaded,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", MODELS)
def test_no_rule_warns_of_a_correct_model(kind: str) -> None:
    assert suspicions(MODELS[kind]()) == ()


@pytest.mark.filterwarnings("ignore")
def test_a_fault_in_such_a_model_is_told() -> None:
    model = Net()
    blocks = list(model.blocks)
    del model.blocks
    model.blocks = blocks  # type: ignore[assignment]
    said = suspicions(model)
    assert len(STATES) >= 8
    assert any("PS101" in each for each in said)
