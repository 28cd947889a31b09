"""What a run costs beside the same work by hand, and beside those who run a forward to count what is in it."""

from __future__ import annotations

import copy
import gc
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.seconds import Job
from paramscope import audit, watch
from paramscope.probe import snapshot_of_run

_TOKENS = 4_096


def run_jobs(repeats: int, *, is_quick: bool) -> list[Job]:
    """Ratios of the time that two ways take in turn."""
    found = []
    if not is_quick:
        found.append(_graph_of_llama(min(repeats, 3)))
    model, ids = _gpt2()
    step = torch.optim.AdamW(model.parameters())
    by_hand = _by_hand(model, ids)

    def backward() -> object:
        return snapshot_of_run(model, run="backward", inputs=ids)

    def stepped() -> object:
        return snapshot_of_run(model, step, run="step", inputs=ids)

    found.append(_ratio('`run="backward"` of GPT-2', 1.2, backward, by_hand, repeats, "by hand, with a copy"))
    by_hand = _by_hand(model, ids, is_stepped=True)
    found.append(_ratio('`run="step"` of GPT-2', 1.2, stepped, by_hand, repeats, "by hand, with a copy"))
    found.append(_watched(model, step, repeats))  # last: it leaves state behind
    resnet, image = _resnet50(), torch.zeros(1, 3, 224, 224)

    def table() -> object:
        return audit(resnet, inputs=image).render("tree")

    for name, peer in _peers(resnet, image).items():
        found.append(_ratio(f"ResNet-50, run and drawn, beside {name}", 1.0, table, peer, repeats, name))
    return found


def _watched(model: nn.Module, optimizer: torch.optim.Optimizer, repeats: int) -> Job:
    """What the hooks of a watch take of steps of 4 × 128 tokens. The first step, which imports the rules, does not
    count; nor do the hooks of four slots in backward."""
    ids = torch.randint(0, 50_257, (4, 128))
    taken: list[float] = []

    def timed(hook: Callable[..., object], *given: object) -> object:
        start = time.perf_counter()
        found = hook(*given)
        taken.append(time.perf_counter() - start)
        return found

    shares = []
    with watch(model, optimizer, steps=True, on_finding="raise"):
        for held in (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks):
            held.update({name: partial(timed, hook) for name, hook in held.items()})
        for _ in range(repeats + 1):
            taken.clear()
            whole = _seconds(lambda: _step(model, optimizer, ids))
            shares.append(100 * sum(taken) / whole)
    del shares[0]
    what = "`watch(steps=True)` of GPT-2, 4 × 128 tokens"
    return Job(what, "% of a step", 2.0, statistics.median(shares), (min(shares), max(shares)))


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, ids: torch.Tensor) -> None:
    optimizer.zero_grad()
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()


def _ratio(
    what: str, limit: float, ours: Callable[[], object], others: Callable[[], object], repeats: int, beside: str
) -> Job:
    """A job whose figure is the median of the ratios within a turn."""
    ratios = []
    for work in (ours, others):
        work()
    for _ in range(repeats):
        mine, theirs = _seconds(ours), _seconds(others)
        ratios.append(mine / theirs)
    return Job(what, f"× {beside}", limit, statistics.median(ratios), (min(ratios), max(ratios)))


def _seconds(work: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _graph_of_llama(repeats: int) -> Job:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 8_192, "intermediate_size": 28_672, "num_hidden_layers": 80, "vocab_size": 128_256}
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=64, num_key_value_heads=8))
    ids = torch.zeros(1, _TOKENS, dtype=torch.long)

    def ours() -> object:
        return snapshot_of_run(model, inputs={"input_ids": ids})

    def by_hand() -> object:
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            fakes = {
                name: torch.empty(tensor.shape, dtype=tensor.dtype, requires_grad=tensor.requires_grad)
                for named in (model.named_parameters, model.named_buffers)
                for name, tensor in named()
            }
            given = {"input_ids": mode.from_tensor(ids)}
            return torch.func.functional_call(model, fakes, (), given).logits.sum()

    return _ratio('`run="graph"` of Llama 70B, 4,096 tokens', 1.5, ours, by_hand, repeats, "the same by hand")


def _gpt2() -> tuple[nn.Module, dict[str, Any]]:
    from transformers import GPT2Config, GPT2LMHeadModel

    ids = torch.randint(0, 50_257, (1, 256))
    return GPT2LMHeadModel(GPT2Config()), {"input_ids": ids, "labels": ids}


def _by_hand(model: nn.Module, inputs: dict[str, Any], *, is_stepped: bool = False) -> Callable[[], object]:
    """Forward and backward, and a step, of a copy that is made for it: the model itself is to stay as it is."""

    def work() -> object:
        mine = copy.deepcopy(model)
        optimizer = torch.optim.AdamW(mine.parameters()) if is_stepped else None
        mine(**inputs).loss.backward()
        if optimizer is not None:
            optimizer.step()
        return [parameter.grad.norm() for parameter in mine.parameters()]

    return work


def _resnet50() -> nn.Module:
    from transformers import ResNetConfig, ResNetForImageClassification

    return ResNetForImageClassification(ResNetConfig(num_labels=1_000))


def _peers(model: nn.Module, image: torch.Tensor) -> dict[str, Callable[[], object]]:
    """Each called as its users call it; those that are not installed are left out."""
    from fvcore.nn import FlopCountAnalysis, flop_count_table
    from thop import profile
    from torchinfo import summary

    counted = copy.deepcopy(model)  # it leaves buffers in what it counts
    return {
        "torchinfo": lambda: str(summary(model, input_data=image, verbose=0)),
        "fvcore": lambda: flop_count_table(FlopCountAnalysis(model, image)),
        "thop": lambda: profile(counted, inputs=(image,), verbose=False),
    }
