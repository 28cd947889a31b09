"""What `report.plan` says of a rank, and what torch and transformers really make there: 64 ranks, all but one fake.

`test_plan.py` runs it in a process of its own: what torch sets up for a group of ranks it sets up for the whole process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GptOssConfig,
    GptOssForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    logging,
)
from transformers.distributed.tensor_parallel import apply_tensor_parallelism

from paramscope import audit
from paramscope.errors import MeshError

pytestmark = pytest.mark.filterwarnings("ignore")
logging.set_verbosity_error()

RANKS = 64
SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "max_position_embeddings"), 24),
    **dict.fromkeys(("num_hidden_layers", "num_key_value_heads", "eos_token_id"), 2),
    "intermediate_size": 18,
    "num_attention_heads": 4,
    "vocab_size": 50,
    "pad_token_id": 0,
    "bos_token_id": 1,
}


def gpt2() -> nn.Module:
    """Tied, and without a plan for tensor parallelism."""
    return GPT2LMHeadModel(
        GPT2Config(n_embd=24, n_layer=2, n_head=2, vocab_size=50, n_positions=10, bos_token_id=1, eos_token_id=2)
    )


def llama() -> nn.Module:
    """With biases: those that are added up stay whole."""
    return LlamaForCausalLM(LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True))


def phi3() -> nn.Module:
    """Gate and up in one Linear."""
    return Phi3ForCausalLM(Phi3Config(**SIZES))


def mixtral() -> nn.Module:
    """Six experts, of which each has gate and up in one weight."""
    return MixtralForCausalLM(MixtralConfig(**SIZES, num_local_experts=6))


def gpt_oss() -> nn.Module:
    """Experts with biases, and sinks."""
    return GptOssForCausalLM(GptOssConfig(**SIZES, num_local_experts=6, head_dim=8))


def lengths() -> nn.Module:
    """Fewer rows than ranks, as many, and more, which go into them or do not."""
    return nn.ParameterList(
        [nn.Parameter(torch.empty(rows, 3)) for rows in (*range(1, 192, 9), 63, 64, 65, 128, 129)]
    )


CASES: list[tuple[Callable[[], nn.Module], str]] = [
    (lengths, "fsdp=64"),
    (gpt2, "fsdp=64"),
    (gpt2, "replicate=2,fsdp=32"),
    (llama, "fsdp=16,tp=4"),
    (llama, "tp=8,fsdp=8"),
    (llama, "tp=64"),
    (phi3, "fsdp=8,tp=8"),
    (mixtral, "replicate=2,fsdp=8,tp=4"),
    (gpt_oss, "replicate=2,fsdp=8,tp=4"),
]


@contextmanager
def rank_of(number: int) -> Iterator[None]:
    dist.init_process_group("fake", store=FakeStore(), rank=number, world_size=RANKS)
    try:
        yield
    finally:
        dist.destroy_process_group()


def sharded(build: Callable[[], nn.Module], mesh: str, device: str = "meta") -> nn.Module:
    """A model as a user shards it: transformers' tensor parallelism first, then `fully_shard`."""
    sizes = {name: int(size) for name, _, size in (each.partition("=") for each in mesh.split(","))}
    there = init_device_mesh("cpu", tuple(sizes.values()), mesh_dim_names=tuple(sizes))
    with torch.device(device):
        model: Any = build()
    if "tp" in sizes:
        apply_tensor_parallelism(model, there["tp"], model._expand_parallel_plan(model.tp_plan))
    data = tuple(name for name in sizes if name != "tp")
    if data:
        fully_shard(model, mesh=there[data])
    return model


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return build()


def local(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters())


@pytest.mark.parametrize(("build", "mesh"), CASES)
def test_ranks_hold_what_the_plan_says(build: Callable[[], nn.Module], mesh: str) -> None:
    whole = on_meta(build)
    plan = audit(whole, optimizer=adam(whole)).plan(mesh)
    for number in range(0, RANKS, 1 if build in (lengths, mixtral) else 9):
        with rank_of(number):
            model = sharded(build, mesh)
            pieces = {name: local(each) for name, each in model.named_parameters()}
            assert plan.shapes(number) == {name: tuple(each.shape) for name, each in pieces.items()}
            load = plan.on(number)
            assert load.parameters == sum(each.nbytes for each in pieces.values())
            if "fsdp" in mesh:
                there = sum(each.untyped_storage().nbytes() for each in pieces.values())
                assert (load.parameters or 0) + (load.padding or 0) == there
            if number % 9 == 0:
                first = audit(model, optimizer=adam(model)).cost.at_first_step
                assert first is not None
                assert load[:4] == first[:4]
    assert sum(each.ranks for each in plan.held) == RANKS
    assert {each.load for each in plan.held} == {plan.on(number) for number in range(RANKS)}
    assert all(plan.on(each.first) == each.load for each in plan.held)


@pytest.mark.parametrize("number", [0, 50, 63])
def test_a_real_step_leaves_the_state_that_the_plan_foresees(number: int) -> None:
    model: Any = llama()
    plan = audit(model, optimizer=adam(model)).plan("fsdp=16,tp=4")
    with rank_of(number):
        model = sharded(llama, "fsdp=16,tp=4", "cpu")
        optimizer = adam(model)
        for each in model.parameters():
            each.grad = torch.ones_like(each)
        optimizer.step()
        kept = [local(value) for state in optimizer.state.values() for value in state.values()]
        load = plan.on(number)
        assert load.optimizer_state == sum(each.nbytes for each in kept)
        assert load.gradients == sum(local(each.grad).nbytes for each in model.parameters())
        with pytest.raises(MeshError, match="is sharded already"):
            audit(model).plan("fsdp=64")
