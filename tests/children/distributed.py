"""Sharded and replicated models, with one rank or with three others that are fake.

`test_idioms_distributed.py` runs them in processes of their own: what torch sets up for a group of ranks it sets up for
the whole process.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, cast

import pytest
import torch
import torch.distributed as dist
from support.idioms import look, marks, only, shared, unregistered
from support.language_model import Net
from torch import nn
from torch.distributed._shard import sharded_tensor
from torch.distributed._shard.sharding_spec import ChunkShardingSpec
from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, MixedPrecisionPolicy, fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_module, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel
from torch.testing._internal.distributed.fake_pg import FakeStore
from zoo.trust import suspicions

from paramscope import Report, Severity, audit, watch
from paramscope.snapshot import Placement

pytestmark = pytest.mark.filterwarnings("ignore")

X = torch.ones(2, 3)
CPU = torch.device("cpu")


def net() -> Any:
    return nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 4, bias=False)))


def start(ranks: int = 1) -> None:
    if ranks == 1:
        dist.init_process_group("gloo", store=torch._C._distributed_c10d.HashStore(), rank=0, world_size=1)
    else:
        dist.init_process_group("fake", store=FakeStore(), rank=1, world_size=ranks)


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    yield
    dist.destroy_process_group()


def test_the_placements_of_a_mesh_of_four_ranks() -> None:
    start(4)
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))
    model = nn.Sequential(nn.Linear(8, 6), nn.Linear(6, 8), nn.LayerNorm(8))
    parallelize_module(model, mesh["tp"], {"0": ColwiseParallel(), "1": RowwiseParallel()})
    fully_shard(model, mesh=mesh["dp"])
    report = look(model)
    assert report.slots["0.weight"].placements == (
        Placement("dp", 2, "shard", 0),
        Placement("tp", 2, "shard", 0),
    )
    assert report.slots["1.weight"].placements == (Placement("dp", 2, "shard", 0), Placement("tp", 2, "shard", 1))
    assert report.slots["1.bias"].placements == (
        Placement("dp", 2, "shard", 0),
        Placement("tp", 2, "replicate", None),
    )
    assert report.slots["2.weight"].placements == (Placement("dp", 2, "shard", 0),)
    assert Report.from_json(report.to_json()) == report
    assert "dp: shard 0, tp: replicate" in str(report.render("table", columns="placements", width=200))
    unnamed = nn.Linear(4, 4)
    unnamed.weight = nn.Parameter(distribute_tensor(unnamed.weight, init_device_mesh("cpu", (4,)), [Replicate()]))
    slots = audit(unnamed).slots
    assert slots["weight"].placements == (Placement("0", 4, "replicate", None),)
    assert slots["bias"].placements == ()


def test_distributed_data_parallel_of_one_rank() -> None:
    start()
    plain = audit(net()).totals
    options: list[dict[str, Any]] = [{}, {"find_unused_parameters": True}, {"static_graph": True}]
    for kwargs in (*options, {"gradient_as_bucket_view": True}):
        model = DistributedDataParallel(net(), **kwargs)
        report = look(model)
        only(report)
        assert all(path.startswith("module.") for path in report.slots)
        assert report.totals == plain._replace(modules=plain.modules + 1)
        model(X).sum().backward()
        after = look(model)
        only(after)
        # Gradients that are views of one bucket share memory with each other, and with no slot.
        assert after.totals == report.totals
        assert {slot.has_grad for slot in after.slots.records() if slot.trainable} == {True}

    model = DistributedDataParallel(net())
    model.register_comm_hook(powerSGD_hook.PowerSGDState(None), powerSGD_hook.powerSGD_hook)
    only(look(model))

    tied = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5, bias=False))
    tied[1].weight = tied[0].weight
    tied[0].weight.requires_grad_()
    report = look(DistributedDataParallel(tied))
    assert shared(report) == [("tied", ("module.0.weight", "module.1.weight"))]
    model = DistributedDataParallel(net())
    optimizer = ZeroRedundancyOptimizer(model.parameters(), torch.optim.AdamW, lr=0.1)
    report = audit(model, optimizer=optimizer)
    assert {slot.stepped for slot in report.slots.records() if slot.trainable} == {True}


def test_a_run_of_distributed_data_parallel_of_one_rank() -> None:
    start()
    options: list[dict[str, Any]] = [{}, {"find_unused_parameters": True}, {"gradient_as_bucket_view": True}]
    for kwargs in options:
        model = DistributedDataParallel(net(), **kwargs)
        optimizer = torch.optim.AdamW(model.parameters())
        for is_training in (True, False):
            model.train(is_training)
            before = copy.deepcopy(model.module.state_dict())
            report = audit(model, optimizer=optimizer, inputs=X, run="step")
            graph = audit(model, inputs=X)
            assert [slot.reached for slot in graph.slots.records()] == [
                slot.reached for slot in report.slots.records()
            ]
            assert all(map(torch.equal, model.module.state_dict().values(), before.values()))
            assert [p.grad for p in model.parameters()] == [None] * 5
            assert not optimizer.state
            model(X).sum().backward()
            for path, parameter in model.named_parameters():
                assert report.slots[path].reached
                assert parameter.grad is not None
                assert report.slots[path].grad_norm == pytest.approx(float(parameter.grad.norm()), abs=1e-6)
                parameter.grad = None
        del model, optimizer


def wrapped(*, keep: bool, nested: bool) -> Any:
    model = net()
    if nested:
        model[1] = FullyShardedDataParallel(model[1], use_orig_params=keep, device_id=CPU)
    return FullyShardedDataParallel(model, use_orig_params=keep, device_id=CPU)


def fsdp_marks(report: Report) -> set[str]:
    return {path for path, kind, name in marks(report) if (kind, name) == ("recomputed", "fsdp")}


def views(report: Report) -> set[str]:
    names = (".weight", ".bias")
    return {s.path for s in report.slots.records() if s.path.endswith(names) and s.status != "empty"}


def check(report: Report, *, keep: bool) -> None:
    # The flat parameters are a second way to what is registered, or the memory under it: nothing is hidden.
    assert report.totals.hidden == 0
    assert report.snapshot.aliases == ()
    assert not [path for path in report.slots if "params[" in path]
    assert set(unregistered(report)) == (set() if keep else views(report))
    # Each view is made anew, in what shape ever, before it is used.
    assert fsdp_marks(report) == views(report) != set()
    assert {kind for kind, _ in shared(report)} <= {"co-located", "overlapping"}
    registered = {
        s.path for s in report.slots.records() if s.registered and s.role == "parameter" and s.status != "empty"
    }
    for kind, slots in shared(report):
        if kind == "overlapping":
            assert not set(slots) <= registered, "two parameters"
    # A hook of FSDP's writes the state dict, under other names.
    assert {s.saved for s in report.slots.records() if s.status != "empty"} == {None}


def test_fully_sharded_data_parallel_of_one_rank() -> None:
    start()
    for keep in (False, True):
        for nested in (False, True):
            model = wrapped(keep=keep, nested=nested)
            report = look(model, saved=False)
            check(report, keep=keep)
            assert report.totals.parameters == 4 * 3 + 4 + 8 + 16
            assert report.totals.buffers == 9
            flat = [s for s in report.slots.records() if s.path.endswith("_flat_param")]
            assert len(flat) == (0 if keep else 1 + nested)
            assert all(s.trainable for s in flat)
            model(X).sum().backward()
            after = look(model, saved=False)
            check(after, keep=keep)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            optimizer.step()
            last = audit(model, optimizer=optimizer)
            check(last, keep=keep)
            assert last.optimizers[0].groups[0].foreign == ()
            assert {s.stepped for s in last.slots.records() if s.trainable} == {True}


class Declaring(nn.Module):
    """Says of names within a wrapper which of them are tied."""

    def __init__(self, *, keep: bool) -> None:
        super().__init__()
        body: Any = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5, bias=False))
        body[1].weight = body[0].weight
        self.body = FullyShardedDataParallel(body, use_orig_params=keep, device_id=CPU)
        self.all_tied_weights_keys = {"body.1.weight": "body.0.weight"}


def test_what_is_declared_of_names_is_found_below_the_wrappers_of_one_rank() -> None:
    start()
    for keep in (False, True):
        report = audit(Declaring(keep=keep))
        (tie,) = report.snapshot.declared_ties
        assert tie.pairs == (("body._fsdp_wrapped_module.1.weight", "body._fsdp_wrapped_module.0.weight"),), tie
        outer: Any = nn.Module()
        outer.hidden = [wrapped(keep=keep, nested=False)]
        report = audit(outer)
        assert fsdp_marks(report) == views(report) != set()
        assert report.totals.hidden == 40


def test_fully_sharded_data_parallel_of_four_ranks() -> None:
    start(4)
    for keep in (False, True):
        model = FullyShardedDataParallel(
            nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 4)), use_orig_params=keep, device_id=CPU
        )
        # The whole, of which torch's own sum is what lies here.
        whole: Any = dict.fromkeys(("parameters", "trainable", "by_name"), 4 * 5 + 5 + 5 * 4 + 4)
        report = look(model, saved=False, **whole)
        check(report, keep=keep)
        here = sum(p.numel() for p in model.parameters())
        assert (report.totals.local, report.cost.parameters) == (here, 4 * here)
        assert here in (12, 13)
        names = {"0.weight": (5, 4), "0.bias": (5,), "1.weight": (4, 5), "1.bias": (4,)}
        shapes = {f"_fsdp_wrapped_module.{name}": shape for name, shape in names.items()}
        assert {path: report.slots[path].shape for path in shapes} == shapes
        if not keep:
            slot = report.slots["_fsdp_wrapped_module._flat_param"]
            assert (slot.shape, slot.numel, slot.nbytes) == ((49,), 49, 4 * here)
        optimizer = torch.optim.AdamW(model.parameters())
        # The state of the shards that are here has their shapes, and so have their gradients.
        for _ in range(2):
            model(torch.ones(1, 4)).sum().backward()
            optimizer.step()
            after = audit(model, optimizer=optimizer)
            check(after, keep=keep)
            assert [finding for finding in after.findings if finding.severity >= Severity.WARNING] == []
            assert (after.totals.parameters, after.totals.local) == (49, here)
            kept = sum(each.nbytes for state in optimizer.state.values() for each in state.values())
            assert after.cost.optimizer_state == kept
            with FullyShardedDataParallel.summon_full_params(model):
                gathered = audit(model, optimizer=optimizer if keep else None)
            assert [finding for finding in gathered.findings if finding.severity >= Severity.WARNING] == []
            assert gathered.totals.parameters == 49
    # Tied weights are one view of the flat parameter, under two names.
    tied = nn.Sequential(nn.Embedding(8, 4), nn.Linear(4, 8, bias=False))
    tied[1].weight = tied[0].weight
    for keep in (False, True):
        model = FullyShardedDataParallel(copy.deepcopy(tied), use_orig_params=keep, device_id=CPU)
        whole = {"parameters": 32, "trainable": 32, "by_name": 64 if keep else 32}
        report = look(model, saved=False, **whole)
        assert fsdp_marks(report) == {"_fsdp_wrapped_module.0.weight", "_fsdp_wrapped_module.1.weight"}
        assert (report.totals.hidden, report.totals.local) == (0, 8)


def test_the_shards_of_a_table_on_four_ranks() -> None:
    start(4)
    # This is rank 1.
    for ranks, rows, here in ((range(4), 10, 3), ((0, 2), 8, 0)):
        spec = ChunkShardingSpec(dim=0, placements=[f"rank:{rank}/cpu" for rank in ranks])
        model = nn.Module()
        model.table = nn.Parameter(sharded_tensor.rand(spec, rows, 6))
        report = audit(model)
        assert report.findings == ()
        slot = report.slots["table"]
        assert (slot.shape, slot.numel, slot.nbytes, slot.storage) == ((rows, 6), rows * 6, 4 * here * 6, None)
        assert (report.totals.parameters, report.totals.local, report.totals.nbytes) == (
            rows * 6,
            here * 6,
            4 * here * 6,
        )
        assert Report.from_json(report.to_json()) == report


def test_fully_shard_of_one_rank() -> None:
    start()
    model, mesh = net(), init_device_mesh("cpu", (1,))
    fully_shard(model[1], mesh=mesh)
    fully_shard(model, mesh=mesh)
    report = look(model)
    only(report)
    assert report.modules[""].type.endswith("FSDPSequential"), report.modules[""].type
    assert report.slots["0.weight"].declared == report.slots["0.weight"].shape == (4, 3)
    model(X).sum().backward()
    # What torch hooked into the state dict by now gathers and shards, and leaves the names alone.
    after = look(model)
    only(after)
    assert after.totals == report.totals
    assert {s.has_grad for s in after.slots.records() if s.trainable} == {True}
    model.unshard()
    gathered = look(model)
    only(gathered)
    assert gathered.totals.parameters == report.totals.parameters


def test_distributed_tensors_on_four_ranks() -> None:
    start(4)
    mesh, grid = init_device_mesh("cpu", (4,)), init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))

    def local(report: Report, path: str) -> tuple[int, ...] | None:
        (part,) = report.slots[path].parts
        assert part.name == "_local_tensor"
        assert part.storage is not None
        return part.spec.shape

    model = nn.Module()
    model.rows = nn.Parameter(distribute_tensor(torch.randn(8, 6), mesh, [Shard(0)]))
    model.everywhere = nn.Parameter(distribute_tensor(torch.randn(8, 6), mesh, [Replicate()]))
    model.tiles = nn.Parameter(distribute_tensor(torch.randn(8, 6), grid, [Shard(0), Shard(1)]))
    model.uneven = nn.Parameter(distribute_tensor(torch.randn(7, 6), mesh, [Shard(0)]))
    model.nothing_here = nn.Parameter(distribute_tensor(torch.randn(1, 6), mesh, [Shard(0)]))
    model.partial = nn.Parameter(DTensor.from_local(torch.randn(3, 2), mesh, [Partial()]))
    model.register_buffer("kept", distribute_tensor(torch.randn(4), mesh, [Shard(0)]))
    model.plain = distribute_tensor(torch.randn(4), mesh, [Shard(0)])
    report = look(model, codes=("PS104",))
    shapes = {
        "rows": (2, 6),
        "everywhere": (8, 6),
        "tiles": (4, 3),
        "uneven": (2, 6),
        "nothing_here": (0, 6),
        "partial": (3, 2),
        "kept": (1,),
        "plain": (1,),
    }
    assert {path: local(report, path) for path in shapes} == shapes
    for name, parameter in model.named_parameters():
        slot = report.slots[name]
        assert (slot.shape, slot.numel, slot.trainable, slot.device) == (
            tuple(parameter.shape),
            parameter.numel(),
            True,
            "cpu",
        )
        assert slot.type == "torch.distributed.tensor.DTensor"
        assert slot.storage is None
    assert report.totals.parameters == 48 + 48 + 48 + 42 + 6 + 6
    assert (
        report.totals.local
        == sum(cast(DTensor, p).to_local().numel() for p in model.parameters())
        == 12 + 48 + 12 + 12 + 0 + 6
    )
    assert report.totals.nbytes == 4 * (report.totals.local + 2)
    assert unregistered(report) == ["plain"]
    assert report.sharing == ()

    # A tie is one tensor; another tensor over the same shard is an alias.
    model = nn.Module()
    model.a = nn.Parameter(distribute_tensor(torch.randn(8, 6), mesh, [Shard(0)]))
    model.b = model.a
    assert shared(look(model)) == [("tied", ("a", "b"))]
    assert (look(model).totals.parameters, look(model).totals.local, look(model).totals.by_name) == (48, 12, 96)
    assert "on this rank: 12" in str(look(model))
    model.c = nn.Parameter(model.a.detach())
    assert shared(look(model, codes=("PS301",))) == [("aliased", ("a", "b", "c")), ("tied", ("a", "b"))]

    report = look(distribute_module(net(), mesh))
    only(report)
    assert (report.totals.parameters, report.totals.local) == (40, 40)
    assert local(report, "1.0.running_mean") == (4,)

    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 4))
    parallelize_module(model, grid["tp"], {"0": ColwiseParallel(), "1": RowwiseParallel()})
    report = look(model)
    only(report)
    assert [local(report, path) for path in ("0.weight", "0.bias", "1.weight", "1.bias")] == [
        (4, 4),
        (4,),
        (4, 4),
        (4,),
    ]
    assert {slot.declared == slot.shape for slot in report.slots.records()} == {True}
    assert (report.totals.parameters, report.totals.local) == (76, 40)
    fully_shard(model, mesh=grid["dp"])
    report = look(model)
    only(report)
    assert (report.totals.parameters, report.totals.local) == (76, 20)

    model = nn.Sequential(nn.Linear(4, 5), nn.Sequential(nn.Linear(5, 5)), nn.Linear(5, 4, bias=False))
    fully_shard(model[1], mesh=mesh, mp_policy=MixedPrecisionPolicy(param_dtype=torch.bfloat16))
    fully_shard(model, mesh=mesh)
    report = look(model)
    only(report)
    assert (report.totals.parameters, report.totals.local) == (75, 27)
    optimizer = torch.optim.AdamW(model.parameters())
    stepped = audit(model, optimizer=optimizer)
    assert {s.stepped for s in stepped.slots.records() if s.trainable} == {True}
    assert stepped.optimizers[0].groups[0].foreign == ()
    # An optimizer that was built before holds tensors that the model has no more.
    late = nn.Sequential(nn.Linear(4, 4))
    early = torch.optim.AdamW(late.parameters())
    fully_shard(late, mesh=mesh)
    seen = audit(late, optimizer=early)
    assert len(seen.optimizers[0].groups[0].foreign) == 2
    assert len(seen.not_stepped()) == 2

    tied = nn.Sequential(nn.Embedding(8, 4), nn.Linear(4, 8, bias=False))
    tied[1].weight = tied[0].weight
    fully_shard(tied, mesh=mesh)
    report = look(tied)
    assert shared(report) == [("tied", ("0.weight", "1.weight"))]
    assert (report.totals.parameters, report.totals.local) == (32, 8)
    assert isinstance(report.slots["0.weight"].declared, tuple)

    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(4, 8))
    fully_shard(model, mesh=mesh)
    report = look(model)
    assert {slot.device for slot in report.slots.records()} == {"meta"}
    assert report.sharing == ()


def trained(model: Any, optimizer: Any, at_step_5: Any = None) -> Any:
    """The watch over ten steps."""
    with watch(model, optimizer, steps=True, on_finding="collect") as watched:
        for number in range(1, 11):
            if number == 5 and at_step_5 is not None:
                at_step_5()
            optimizer.zero_grad()
            model(X).square().mean().backward()
            optimizer.step()
    return watched


def test_a_watch_over_a_loop_of_one_rank() -> None:
    start()
    model: Any
    options: list[dict[str, Any]] = [{}, {"find_unused_parameters": True}, {"static_graph": True}]
    for kwargs in (*options, {"gradient_as_bucket_view": True}):
        model = DistributedDataParallel(net(), **kwargs)
        assert trained(model, torch.optim.AdamW(model.parameters())).findings == ()
        assert trained(model.module, torch.optim.SGD(model.parameters(), lr=0.1)).findings == ()
    zero = ZeroRedundancyOptimizer(model.parameters(), torch.optim.AdamW, lr=0.1)
    assert trained(model, zero).findings == ()
    mesh = init_device_mesh("cpu", (1,))
    model = net()
    fully_shard(model, mesh=mesh)
    assert trained(model, torch.optim.AdamW(model.parameters())).findings == ()
    model = FullyShardedDataParallel(net(), device_id=CPU, use_orig_params=True)
    assert trained(model, torch.optim.AdamW(model.parameters())).findings == ()

    def to_and_back() -> None:
        model.double()
        model.float()

    def replace() -> None:
        model.module[0] = nn.Linear(3, 4)
        optimizer.add_param_group({"params": list(model.module[0].parameters())})

    for change, paths in ((to_and_back, 5), (replace, 2)):
        model = DistributedDataParallel(net(), find_unused_parameters=True)
        optimizer = torch.optim.AdamW(model.parameters())
        (finding,) = trained(model, optimizer, change).findings
        assert (finding.code, len(finding.paths)) == ("PS723", paths)
        assert finding.message.startswith(
            "Since step 5, DistributedDataParallel no longer hears of the gradients of "
        )


def sharded(ranks: int) -> Any:
    """Block by block, then the rest."""
    mesh = init_device_mesh("cpu", (ranks,))
    model = Net()
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def test_what_training_costs_each_rank_on_four_ranks() -> None:
    start(4)
    model = nn.Sequential(nn.Linear(16, 8), nn.Linear(8, 3))
    fully_shard(model, mesh=init_device_mesh("cpu", (4,)))
    optimizer = torch.optim.AdamW(model.parameters())
    first = audit(model, optimizer=optimizer).cost.at_first_step
    assert first is not None
    model(torch.ones(2, 16)).sum().backward()
    optimizer.step()
    after = audit(model, optimizer=optimizer).cost

    def nbytes(tensors: Any) -> int:
        return sum((each.to_local() if isinstance(each, DTensor) else each).nbytes for each in tensors)

    kept = nbytes(each for state in optimizer.state.values() for each in state.values())
    assert first.parameters == after.parameters == nbytes(model.parameters())
    assert first.gradients == after.gradients == nbytes(each.grad for each in model.parameters())
    assert first.optimizer_state == after.optimizer_state == kept
    assert kept > 2 * nbytes(model.parameters())


def test_no_rule_warns_of_a_correct_model_in_any_state_on_one_rank() -> None:
    start()
    model = sharded(1)
    assert suspicions(model) == ()
    assert suspicions(DistributedDataParallel(Net())) == ()
    assert suspicions(FullyShardedDataParallel(Net(tied=False), device_id=CPU, use_orig_params=True)) == ()
    model.extra = [nn.Linear(2, 2)]
    assert any("PS101" in each for each in suspicions(model))


def test_no_rule_warns_of_a_correct_model_in_any_state_on_four_ranks() -> None:
    start(4)
    assert suspicions(sharded(4)) == ()
    assert suspicions(distribute_module(Net(tied=False), init_device_mesh("cpu", (4,)))) == ()
