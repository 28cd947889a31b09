"""What DeepSpeed cuts and flattens is counted and stepped as the model's own; its attributes stand in for it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from paramscope import Report, audit

SHAPES = {"0.weight": (33, 16), "0.bias": (33,), "1.weight": (5, 33), "1.bias": (5,)}
RANKS = 4


def net(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    return nn.Sequential(nn.Linear(16, 33), nn.Linear(33, 5)).to(dtype)


def partition(model: nn.Module) -> int:
    """Leaves a quarter of each parameter here, filled up, as `zero.Init` does; returns how much that is."""
    here = 0
    for parameter in model.parameters():
        shard = torch.ones(-(-parameter.numel() // RANKS), dtype=parameter.dtype)
        kept = {"ds_shape": parameter.shape, "ds_numel": parameter.numel(), "ds_tensor": shard}
        parameter.data = torch.empty(0, dtype=parameter.dtype)
        vars(parameter).update(kept)
        here += shard.numel()
    return here


def alarms(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def test_a_partitioned_parameter_counts_as_the_whole() -> None:
    model = net()
    plain, here = audit(model).totals, partition(model)
    report = audit(model)
    assert (report.totals.parameters, report.totals.trainable) == (plain.parameters, plain.trainable) == (731, 731)
    assert (report.totals.local, report.totals.nbytes) == (here, 4 * here)
    assert {slot.path: slot.shape for slot in report.slots.records()} == SHAPES
    assert {part.name for slot in report.slots.records() for part in slot.parts} == {"_local_tensor"}
    assert report.cost.parameters == 4 * here
    assert f"on this rank: {here}" in str(report)
    assert alarms(report) == []
    assert audit(model) == report
    assert Report.from_json(report.to_json()) == report


def test_a_gathered_one_is_here_as_a_whole() -> None:
    model = net()
    partition(model)
    for path, parameter in model.named_parameters():
        parameter.data = torch.ones(SHAPES[path])
    report = audit(model)
    assert (report.totals.parameters, report.totals.local) == (731, None)
    assert alarms(report) == []


class Wrapper:
    """Steps an optimizer over what it flattened, as DeepSpeed's optimizers do; it has no groups of its own."""

    def __init__(self, optimizer: torch.optim.Optimizer, **kept: Any) -> None:
        self.optimizer = optimizer
        vars(self).update(kept)

    @property
    def param_groups(self) -> Any:
        return self.optimizer.param_groups

    def step(self) -> None:
        self.optimizer.step()


Wrapper.__module__ = "deepspeed.runtime.zero.stage_1_and_2"


def flat(of: list[nn.Parameter]) -> torch.Tensor:
    """This rank's part of a group, in float32."""
    return torch.zeros(sum(parameter.numel() for parameter in of) // RANKS + 1, requires_grad=True)


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    weights, biases = (
        [each for path, each in model.named_parameters() if name in path] for name in ("weight", "bias")
    )
    groups: list[dict[str, Any]] = [{"params": weights}, {"params": biases, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=1e-4)


@pytest.mark.parametrize(
    ("originals", "copies"),
    [
        ("bit16_groups", "single_partition_of_fp32_groups"),
        ("bf16_groups", "fp32_groups_flat_partition"),
        ("fp16_groups", "fp32_groups_flat"),
        ("fp16_groups", "fp32_groups"),
        ("fp16_groups", "fp32_partitioned_groups_flat"),
    ],
)
def test_what_is_stepped_for_parameters_stands_for_them(originals: str, copies: str) -> None:
    model = net(torch.bfloat16)
    inner = optimizer_of(model)
    groups = [list(group["params"]) for group in inner.param_groups]
    flats = [flat(group) for group in groups]
    kept: list[Any] = [[each] for each in flats] if copies == "fp32_groups" else list(flats)
    more: dict[str, Any] = {}
    if copies == "fp32_partitioned_groups_flat":
        # ZeRO-3: parts of a group, in any order, of a group that has members only while it is stepped.
        first = groups.pop(0)
        groups, kept = [*groups, *([each] for each in first)], [flats[1], *(flat([each]) for each in first)]
        flats, more = kept, {"sub_group_to_group_id": {0: 1, 1: 0, 2: 0}}
    for group in inner.param_groups:
        group["params"] = []
    if not more:
        for group, each in zip(inner.param_groups, flats, strict=True):
            group["params"] = [each]
    wrapper = Wrapper(inner, **{originals: groups, copies: kept}, **more)

    report = audit(model, optimizer=wrapper)
    assert alarms(report) == []
    assert {slot.stepped for slot in report.slots.records()} == {True}
    (seen,) = report.optimizers
    assert [group.slots for group in seen.groups] == [("0.weight", "1.weight"), ("0.bias", "1.bias")]
    assert [(group.foreign, group.numel) for group in seen.groups] == [((), 693), ((), 38)]
    assert report.cost.at_first_step is not None
    assert "optimizer_state" in report.cost.at_first_step.unknown

    for each in flats:
        inner.state[each] = {"step": torch.tensor(1.0), "exp_avg": torch.zeros_like(each)}
    report = audit(model, optimizer=wrapper)
    assert alarms(report) == []
    state = sum(4 + each.nbytes for each in flats)
    assert sum(group.state_nbytes for group in report.optimizers[0].groups) == state
    assert report.cost.optimizer_state == state
    assert report.cost.at_first_step is not None
    assert report.cost.at_first_step.optimizer_state == state
    assert Report.from_json(report.to_json()) == report


def test_what_the_copies_do_not_stand_for_is_missed_as_ever() -> None:
    model = net()
    inner = optimizer_of(model)
    weights = inner.param_groups[0]["params"]
    each = flat(weights)
    inner.param_groups[:] = [{**inner.param_groups[0], "params": [each]}]
    wrapper = Wrapper(inner, bit16_groups=[weights], single_partition_of_fp32_groups=[each])
    (finding,) = audit(model, optimizer=wrapper).findings
    assert (finding.code, finding.paths) == ("PS401", ("0.bias", "1.bias"))
    # Without the maps nothing is known of the flat ones.
    assert {"PS401", "PS402"} <= set(alarms(audit(model, optimizer=Wrapper(inner))))
