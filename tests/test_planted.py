"""A bug planted into GPT-2: the rules name exactly that one, and nothing else at warning or above."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from paramscope import Finding, Severity, audit

Planted = tuple[nn.Module, Any]


def gpt2() -> GPT2LMHeadModel:
    """A small one, with six blocks and its tie."""
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(n_layer=6, n_embd=32, n_head=2, vocab_size=64, n_positions=16))


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    """Over all that trains."""
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)


def serious(model: nn.Module, optimizer: Any = None) -> list[Finding]:
    """Findings at warning or above."""
    found = audit(model, optimizer=optimizer).findings
    return [finding for finding in found if finding.severity >= Severity.WARNING]


class Helper:
    """A plain object."""

    def __init__(self, part: nn.Module) -> None:
        self.part = part


def distance(teacher: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """For a partial."""
    found: torch.Tensor = teacher(x)
    return found


def with_class_attribute(model: nn.Module, **attributes: Any) -> nn.Module:
    """The model as an instance of a subclass of the user's."""
    model.__class__ = type("Tuned", (type(model),), attributes)
    return model


def _ps101(model: Any) -> Any:
    model.adapters = [nn.Linear(32, 32)]


def _ps102(model: Any) -> Any:
    model.scales = {"a": nn.Parameter(torch.ones(3))}


def _ps103(model: Any) -> Any:
    model.gain = torch.ones(3, requires_grad=True)


def _ps104(model: Any) -> Any:
    model.table = torch.zeros(8, 8)


def _ps105(model: Any) -> Any:
    model.criterion = functools.partial(distance, nn.Linear(32, 32))


def _ps106(model: Any) -> Any:
    model.helper = Helper(nn.Linear(32, 32))


def _ps107(model: Any) -> Any:
    with_class_attribute(model, adapter=None)
    model.adapter = nn.Linear(32, 32)


def _ps108(model: Any) -> Any:
    with_class_attribute(model, shift=nn.Parameter(torch.zeros(3)))


def _ps109(model: Any) -> Any:
    model.register_parameter("scale", nn.Parameter(torch.ones(3)))
    model.doubled = model.scale * 2


def _ps111(model: Any) -> Any:
    model.extra = nn.ModuleList([nn.Linear(32, 32)] * 3)


def _ps112(model: Any) -> Any:
    model.register_buffer("gain", torch.ones(3, requires_grad=True))


def _ps113(model: Any) -> Any:
    model.register_buffer("mean", torch.zeros(32))
    model.mean = 0.9 * model.mean + 0.1 * model.transformer.wpe.weight.mean(0)


def _ps202(model: Any) -> Any:
    model.norm = nn.BatchNorm1d(32).requires_grad_(requires_grad=False)


def _ps203(model: Any) -> Any:
    model.transformer.h[0].require_grad = False


def _ps206(model: Any) -> Any:
    model.kinds = nn.Embedding(5, 4, max_norm=1.0).requires_grad_(requires_grad=False)


def _ps209(model: Any) -> Any:
    model.transformer.h[3].requires_grad_(requires_grad=False)


def _ps211(model: Any) -> Any:
    with torch.inference_mode():
        made = torch.zeros(3)
    model.register_buffer("made", made)


def _ps301(model: Any) -> Any:
    model.lm_head.weight = nn.Parameter(model.transformer.wte.weight.data)


def _ps302(model: Any) -> Any:
    base = torch.zeros(3, 32)
    model.first, model.second = nn.Parameter(base[:2]), nn.Parameter(base[1:])


def _ps303(model: Any) -> Any:
    model.bias = nn.Parameter(torch.zeros(1).expand(32))


def _ps304(model: Any) -> Any:
    model.lm_head.weight = nn.Parameter(model.transformer.wte.weight.detach().clone())


def _ps306(model: Any) -> Any:
    alias = nn.Parameter(model.transformer.wte.weight.data, requires_grad=False)
    model.lm_head.weight = alias


def _ps308(model: Any) -> Any:
    model.register_buffer("window", torch.zeros(1_000_000)[:10])


def _ps309(model: Any) -> Any:
    array = np.zeros(32, dtype=np.float32)
    model.first, model.second = (nn.Parameter(torch.from_numpy(array)) for _ in range(2))


def _ps310(model: Any) -> Any:
    model.best = model.state_dict()


def _ps401(model: Any) -> Any:
    model.transformer.h.requires_grad_(requires_grad=False)
    optimizer = adamw(model)
    model.transformer.h.requires_grad_(requires_grad=True)
    return optimizer


def _ps402(model: Any) -> Any:
    optimizer = adamw(model)
    model.transformer.h[2].ln_1.weight = nn.Parameter(torch.ones(32))
    return optimizer


def _ps403(model: Any) -> Any:
    optimizer = adamw(model)
    weight = model.transformer.wpe.weight
    weight.grad = torch.ones_like(weight)
    weight.requires_grad_(requires_grad=False)
    return optimizer


def _ps404(model: Any) -> Any:
    optimizer = adamw(model)
    optimizer.param_groups[0]["params"].append(model.transformer.wpe.weight)
    return optimizer


def _ps406(model: Any) -> Any:
    model.kinds = nn.Embedding(5, 4, sparse=True)
    return adamw(model)


def _ps407(model: Any) -> Any:
    return torch.optim.SGD(model.parameters(), lr=0.0)


def _ps409(model: Any) -> Any:
    optimizer = adamw(model)
    model(torch.zeros(1, 4, dtype=torch.long)).logits.sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    head = model.transformer.wte.weight
    head.data = torch.zeros(65, 32)
    model.transformer.wte.num_embeddings = model.lm_head.out_features = 65
    return optimizer


def _ps412(model: Any) -> Any:
    weight = model.transformer.wpe.weight
    weight.grad = torch.zeros_like(weight)
    weight.data = torch.zeros(17, 32)
    model.transformer.wpe.num_embeddings = 17


def _ps501(model: Any) -> Any:
    model.transformer.ln_f.weight = nn.Parameter(torch.ones(16))


def _ps503(model: Any) -> Any:
    model.transformer.ln_f.bias = nn.Parameter(torch.zeros(32, dtype=torch.bfloat16))


def _ps504(model: Any) -> Any:
    model.transformer.ln_f.weight = nn.Parameter(torch.ones(32, device="meta"))


def _ps601(model: Any) -> Any:
    model.prompt = torch.zeros(4, 32, requires_grad=True)
    return torch.optim.AdamW([*model.parameters(), model.prompt], lr=1e-3)


PLANTS: dict[str, Callable[[Any], Any]] = {
    name[1:].upper(): plant for name, plant in list(globals().items()) if name.startswith("_ps")
}
# Two rules speak of these by the contract: the tensor is hidden, and what an optimizer makes of that.
TOGETHER = {"PS601": {"PS103", "PS601"}}


def test_without_a_bug_nothing_is_said() -> None:
    assert serious(gpt2()) == []
    model = gpt2()
    assert serious(model, adamw(model)) == []


@pytest.mark.parametrize("code", PLANTS)
def test_exactly_the_planted_bug_is_named(code: str) -> None:
    model = gpt2()
    optimizer = PLANTS[code](model)
    found = serious(model, optimizer)
    assert {finding.code for finding in found} == TOGETHER.get(code, {code}), found
    assert len(found) == len(TOGETHER.get(code, {code}))
