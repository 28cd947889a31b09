"""What training costs, as it is foreseen, and the truth: the bytes that lie there after a real backward and step."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from support.targets import run
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from paramscope import Report, audit
from paramscope.analysis.cost import Cost
from paramscope.errors import ReportError
from paramscope.wire.schema import SCHEMA_FILE

FIXTURES = Path(__file__).parent.parent / "fixtures"
OPTIMIZERS = [
    kind
    for kind in vars(torch.optim).values()
    if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and kind is not torch.optim.Optimizer
]
SETTINGS: list[dict[str, Any]] = [
    *({}, {"foreach": True}, {"fused": True}, {"amsgrad": True}, {"momentum": 0.9}, {"maximize": True}),
    *({"momentum": 0.9, "centered": True}, {"capturable": True}, {"differentiable": True}, {"weight_decay": 0.1}),
    *({"initial_accumulator_value": 0.5}, {"history_size": 3, "max_iter": 4}, {"lr": torch.tensor(0.01)}),
]


class Net(nn.Module):
    """Tied, partly frozen, in two dtypes, and with an odd tensor or two."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.frozen = nn.Linear(6, 6).requires_grad_(False)
        self.low = nn.Linear(6, 5, bias=False).bfloat16()
        self.back = nn.Linear(5, 6, bias=False)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("table", torch.ones(3))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden = self.frozen(self.embed(tokens))
        found: torch.Tensor = self.head(self.back(self.low(hidden.bfloat16()).float()))
        return found


class Sparse(nn.Module):
    """Embeddings with sparse gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Embedding(11, 6, sparse=True)
        self.second = nn.EmbeddingBag(7, 5, sparse=True)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.first(tokens).sum() + self.second(tokens).sum()


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """All that lies in the state of an optimizer."""
    if isinstance(value, torch.Tensor):
        yield value
    else:
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
            yield from tensors_in(each)


def nbytes(tensors: Any) -> int:
    """Bytes of tensors."""
    return sum(each.numel() * each.itemsize for each in tensors)


def state(*optimizers: torch.optim.Optimizer) -> Iterator[torch.Tensor]:
    """What optimizers keep."""
    for optimizer in optimizers:
        yield from tensors_in(dict(optimizer.state))


def held(*optimizers: torch.optim.Optimizer) -> int:
    """Bytes of what optimizers keep."""
    return nbytes(state(*optimizers))


def backward(model: nn.Module) -> Any:
    """One pass of any of the models."""
    loss = model(torch.tensor([[1, 2, 3]])).float().square().sum()
    loss.backward()
    return loss


def first_step(report: Report) -> Cost:
    """What there will be at the first step."""
    found = report.cost.at_first_step
    assert found is not None
    assert found.at_first_step is None
    return found


def bound(model: nn.Module, kind: Any, settings: dict[str, Any]) -> torch.optim.Optimizer | None:
    """An optimizer of the model's matrices; None where it has no such setting."""
    try:
        made: torch.optim.Optimizer = kind([each for each in model.parameters() if each.ndim == 2], **settings)
    except (TypeError, ValueError, RuntimeError):
        return None
    return made


@pytest.mark.parametrize("kind", OPTIMIZERS, ids=lambda kind: kind.__name__)
def test_what_a_first_step_leaves_is_foreseen(kind: Any) -> None:
    tried = 0
    for settings in SETTINGS:
        model = Sparse() if kind is torch.optim.SparseAdam else Net()
        optimizer = bound(model, kind, settings)
        if optimizer is None:
            continue
        before = audit(model, optimizer=optimizer)
        foreseen = first_step(before)
        assert held(optimizer) == before.cost.optimizer_state  # and it was not touched
        try:
            optimizer.step(partial(backward, model))
        except (RuntimeError, AssertionError):  # no such kernel for a CPU
            continue
        tried += 1
        after = audit(model, optimizer=optimizer)
        (how,) = {each.how for each in foreseen.foreseen}
        assert how == {"Adagrad": "held", "Adafactor": "estimated", "ASGD": "estimated", "LBFGS": "estimated"}.get(
            kind.__name__, "estimated" if "lr" in settings else "measured"
        )
        assert after.cost.optimizer_state == held(optimizer)
        if kind is torch.optim.LBFGS:
            assert foreseen.optimizer_state is not None
            assert 444 < held(optimizer) < foreseen.optimizer_state + 200  # single numbers
            continue
        assert foreseen.optimizer_state == held(optimizer), settings
        assert first_step(after).optimizer_state == held(optimizer)
        by_dtype = Counter(each.dtype for each in state(optimizer) for _ in range(each.nbytes))
        assert {name: sums.optimizer_state for name, sums in after.cost.by_dtype.items() if sums.optimizer_state} == {
            str(dtype).removeprefix("torch."): number for dtype, number in by_dtype.items()
        }
        assert first_step(before).by_dtype == {
            name: sums._replace(gradients=first_step(before).by_dtype[name].gradients)
            for name, sums in after.cost.by_dtype.items()
        }
    assert tried >= 2


def test_the_history_of_lbfgs() -> None:
    model = nn.Linear(4, 3)
    optimizer = torch.optim.LBFGS(model.parameters(), history_size=3, max_iter=5)

    def closure() -> float:
        optimizer.zero_grad()
        loss = (model(torch.eye(4)) - torch.arange(12.0).view(4, 3)).pow(4).sum()
        loss.backward()
        return float(loss.detach())

    foreseen = first_step(audit(model, optimizer=optimizer))
    optimizer.step(closure)
    assert foreseen.optimizer_state == nbytes(each for each in state(optimizer) if each.ndim) == 60 * (2 + 2 * 3)
    after = audit(model, optimizer=optimizer)
    assert first_step(after).optimizer_state == after.cost.optimizer_state == held(optimizer)
    assert [each.how for each in first_step(after).foreseen] == ["held"]
    why = "with a history of 3 iterations, the most that its first step makes"
    assert [(each.how, each.why) for each in foreseen.foreseen] == [("estimated", why)]


def test_gradients_are_foreseen_in_their_own_dtype() -> None:
    model = Net()
    before = audit(model)
    assert before.cost.gradients == 0
    backward(model)
    after = audit(model)
    real = [each.grad for each in model.parameters() if each.grad is not None]
    assert len(real) == 3
    assert first_step(before).gradients == after.cost.gradients == first_step(after).gradients == nbytes(real)
    half = {str(each.dtype): nbytes([each]) for each in real}["torch.bfloat16"]
    assert first_step(before).by_dtype["bfloat16"].gradients == after.cost.by_dtype["bfloat16"].gradients == half


def test_each_byte_counts_once_and_all_tables_add_up() -> None:
    model = Net()
    report = audit(model, optimizer=torch.optim.AdamW(model.parameters()), inputs=torch.tensor([[1, 2, 3]]))
    storages = {each.untyped_storage()._cdata: each.untyped_storage().nbytes() for each in model.parameters()}
    assert report.cost.parameters == sum(storages.values())
    assert report.cost.buffers == model.table.nbytes
    for cost in (report.cost, first_step(report)):
        assert cost.total == sum(each or 0 for each in cost[:5])
        for split in (cost.by_dtype, cost.by_device, cost.by_module):
            for at, number in enumerate(cost.sums[:4]):
                assert sum(each[at] or 0 for each in split.values()) == number
    assert first_step(report).activations == report.totals.activation_bytes
    assert (
        sum(each.activations or 0 for each in first_step(report).by_module.values()) == report.totals.activation_bytes
    )


def test_two_views_of_one_memory_have_two_gradients() -> None:
    model, memory = nn.Module(), torch.ones(2, 3)
    model.register_buffer("seen", memory[0])
    model.one, model.other = nn.Parameter(memory), nn.Parameter(memory.view(3, 2))
    cost = audit(model).cost
    assert (cost.parameters, cost.buffers, first_step(audit(model)).gradients) == (24, 0, 48)


def test_what_a_buffer_and_a_parameter_that_is_met_later_both_reach_is_the_parameters() -> None:
    model: Any = nn.Module()
    memory = torch.ones(2, 3)
    model.register_buffer("seen", memory)
    model.hidden = [nn.Parameter(memory[0])]
    assert audit(model).cost[:4] == (12, 0, None, 12)


def test_what_the_loss_does_not_reach_costs_no_gradient_and_no_state() -> None:
    model = nn.ModuleDict({"used": nn.Linear(4, 3), "unused": nn.Linear(4, 3)})
    model.forward = lambda given: model["used"](given)
    optimizer = torch.optim.Adam(model.parameters())
    unknown = first_step(audit(model, optimizer=optimizer))
    known = first_step(audit(model, optimizer=optimizer, inputs=torch.ones(2, 4)))
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    assert (known.gradients, known.optimizer_state) == (60, held(optimizer))
    assert (unknown.gradients, unknown.optimizer_state) == (120, 2 * held(optimizer))
    assert known.by_module["unused"] == (60, 0, 0, 0, 0)


def test_several_optimizers_and_groups() -> None:
    model = Net()
    groups: list[dict[str, Any]] = [
        {"params": model.embed.parameters(), "momentum": 0.9},
        {"params": model.low.parameters()},
    ]
    first = torch.optim.SGD(groups)
    second = torch.optim.Adam([*model.back.parameters(), *model.frozen.parameters()], amsgrad=True)
    foreseen = first_step(audit(model, optimizer={"one": first, "other": second}))
    backward(model)
    first.step()
    second.step()
    assert foreseen.optimizer_state == held(first, second)
    assert foreseen.by_module["low"].optimizer_state == 0
    assert foreseen.by_module["back"].optimizer_state == held(second)
    assert [(each.optimizer, each.how) for each in foreseen.foreseen] == [("one", "measured"), ("other", "measured")]


def test_frozen_parameters_have_no_gradients_and_no_state_whatever_holds_them() -> None:
    model = nn.Linear(4, 3).requires_grad_(False)
    foreseen = first_step(audit(model, optimizer=torch.optim.Adam(model.parameters())))
    assert (foreseen.gradients, foreseen.optimizer_state, foreseen.parameters) == (0, 0, 60)


def test_complex_parameters() -> None:
    model = nn.Linear(4, 3, dtype=torch.complex64)
    optimizer = torch.optim.Adam(model.parameters())
    foreseen = first_step(audit(model, optimizer=optimizer))
    model(torch.ones(2, 4, dtype=torch.complex64)).abs().sum().backward()
    optimizer.step()
    assert (foreseen.gradients, foreseen.optimizer_state) == (120, held(optimizer))


def test_a_state_that_is_shared_counts_once() -> None:
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters())
    table = torch.ones(256)
    for each in model.parameters():
        optimizer.state[each] = {"table": table, "codes": [torch.ones(2, dtype=torch.uint8)]}
    cost = audit(model, optimizer=optimizer).cost
    assert cost.optimizer_state == 1024 + 4
    assert cost.by_dtype["uint8"].optimizer_state == 4


class Lion(torch.optim.Optimizer):
    """A class of the user's: lr has no default, and its step wants a closure."""

    def __init__(self, params: Any, lr: float, scale: float = 2.0) -> None:
        super().__init__(params, {"lr": lr, "scale": scale})

    @torch.no_grad()
    def step(self, closure: Any) -> Any:  # type: ignore[override]  # as SAM and others have it
        loss = closure()
        for group in self.param_groups:
            for each in group["params"]:
                if each.grad is not None:
                    kept = self.state[each].setdefault("kept", torch.zeros_like(each, dtype=torch.float16))
                    each.add_(each.grad + kept, alpha=-group["lr"])
        return loss


class Native(Lion):
    """What no tensor without elements goes through."""

    def step(self, closure: Any) -> Any:  # type: ignore[override]  # as SAM and others have it
        for group in self.param_groups:
            for each in group["params"]:
                each.detach().numpy()
        return super().step(closure)


class Broken(Lion):
    """Its step is not for any."""

    def step(self, closure: Any) -> Any:  # type: ignore[override]  # as SAM and others have it
        raise ValueError("bad\nworse")


class Unmakeable(Lion):
    """What it is made with is not in its groups."""

    def __init__(self, params: Any, world: object) -> None:
        super().__init__(params, 0.1)


class Aside(Lion):
    """Its momentum lies beside its state."""

    def step(self, closure: Any) -> Any:  # type: ignore[override]  # as SAM and others have it
        loss = super().step(closure)
        self.beside = [self.state.pop(each) for each in self.param_groups[0]["params"]]
        return loss


class Named(Lion):
    """It keeps something under a name."""

    def step(self, closure: Any) -> Any:  # type: ignore[override]  # as SAM and others have it
        named: Any = self.state
        named["all"] = {"calls": torch.zeros(())}
        return super().step(closure)


class Grouped(Lion):
    """It keeps something with the options of its groups."""

    def step(self, closure: Any) -> Any:  # type: ignore[override]  # as SAM and others have it
        self.param_groups[0]["calls"] = torch.zeros(())
        return super().step(closure)


class Flat(Lion):
    """The first parameter has the state of all."""

    def step(self, closure: Any) -> Any:  # type: ignore[override]  # as SAM and others have it
        loss = super().step(closure)
        first, *others = self.param_groups[0]["params"]
        self.state[first]["kept"] = torch.cat(
            [self.state[first]["kept"].flatten(), *(self.state.pop(each)["kept"].flatten() for each in others)]
        )
        return loss


class Shared(Lion):
    """All parameters have one table."""

    def step(self, closure: Any) -> Any:  # type: ignore[override]  # as SAM and others have it
        loss = super().step(closure)
        table = torch.zeros(256)
        for each in self.param_groups[0]["params"]:
            self.state[each]["table"] = table
        return loss


_ELSEWHERE = "it keeps tensors elsewhere than in the state of its parameters"


@pytest.mark.parametrize(
    ("kind", "size", "how", "why"),
    [
        (Lion, 3, "measured", ""),
        (Aside, 3, "unknown", _ELSEWHERE),
        (Named, 3, "unknown", _ELSEWHERE),
        (Grouped, 3, "unknown", _ELSEWHERE),
        (Flat, 3, "unknown", "the shape and dtype of a parameter do not tell what it keeps for it"),
        (Shared, 3, "estimated", "what it keeps for several parameters at once is left out"),
        (Native, 3, "measured", ""),
        (
            Native,
            40_000,
            "estimated",
            "its step fails on tensors without elements, and was tried on 65,536 elements of each",
        ),
        (Broken, 3, "unknown", "a fresh one could not step: ValueError: bad"),
        (Unmakeable, 3, "unknown", "a fresh one could not step: TypeError: "),
    ],
)
def test_classes_of_the_users(kind: type[Lion], size: int, how: str, why: str) -> None:
    model = nn.Linear(4, size)
    foreseen = first_step(audit(model, optimizer=kind(model.parameters(), 0.1)))
    (found,) = foreseen.foreseen
    assert (found.how, found.optimizer) == (how, "0")
    assert found.why.startswith(why)
    assert found.why == why or kind is Unmakeable
    assert foreseen.optimizer_state == (None if how == "unknown" else 10 * size)
    assert foreseen.unknown.get("optimizer_state") == (found.why if how == "unknown" else None)
    assert foreseen.total == 40 * size + (0 if how == "unknown" else 10 * size)


class Noisy(Lion):
    """It draws random numbers, and its step is that of the class above."""

    def step(self, closure: Any) -> Any:  # type: ignore[override]  # as SAM and others have it
        torch.rand(3)
        return super().step(closure)


@pytest.mark.parametrize("option", ["foreach", "fused", "capturable", "differentiable"])
def test_how_a_step_is_computed_makes_no_difference(option: str) -> None:
    model = nn.Linear(300, 300)
    options: dict[str, Any] = {option: True}
    foreseen = first_step(audit(model, optimizer=torch.optim.AdamW(model.parameters(), **options)))
    assert [each.how for each in foreseen.foreseen] == ["measured"]
    assert foreseen.optimizer_state == 8 * 90_300 + 2 * 4


def test_a_member_in_two_groups_has_one_state() -> None:
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), momentum=0.9)
    optimizer.param_groups.append({**optimizer.param_groups[0], "params": [model.weight]})
    assert first_step(audit(model, optimizer=optimizer)).optimizer_state == 60


def test_asking_touches_nothing_out_there() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    Lion(model.parameters(), 0.1)  # torch hangs its hooks around the step of a class that was made once
    optimizer = Noisy(model.parameters(), 0.1)
    with torch.device("meta"):
        other = nn.Linear(4, 3)
    adam = torch.optim.AdamW(other.parameters())
    called: list[object] = []
    hook = register_optimizer_step_pre_hook(lambda *given: called.append(given[0]))
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    try:
        with torch.device("meta"), torch.inference_mode():
            foreseen = first_step(audit(model, optimizer=optimizer))
            on_meta = first_step(audit(other, optimizer=adam))
        drawn = torch.get_rng_state()
        optimizer.step(lambda: None)
    finally:
        hook.remove()
    assert called.count(optimizer) == len(called) > 0
    assert torch.equal(random, drawn)
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert foreseen.optimizer_state == 23 * 2
    assert {name: sums.optimizer_state for name, sums in on_meta.by_device.items()} == {"meta": 120, "cpu": 8}


def test_unknown_is_none_with_a_reason() -> None:
    lazy = nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 2))
    cost = audit(lazy, optimizer=torch.optim.SGD(lazy.parameters(), momentum=0.9)).cost
    first = cost.at_first_step
    assert first is not None
    assert (cost.parameters, cost.total, first.gradients, first.optimizer_state) == (None, None, None, None)
    assert cost.unknown["parameters"] == "2 tensors of unknown size"
    assert first.unknown["optimizer_state"] == "a tensor is of unknown size"
    cost = audit(nn.Linear(3, 2)).cost
    assert cost.unknown == {
        "optimizer_state": "no optimizer was given",
        "activations": "kept between forward and backward alone",
    }
    sparse = first_step(audit(Sparse()))
    assert (sparse.gradients, sparse.unknown["gradients"]) == (
        None,
        "those of sparse embeddings depend on the inputs",
    )


def test_state_that_is_sparse_depends_on_the_inputs() -> None:
    model = Sparse()
    foreseen = first_step(audit(model, optimizer=torch.optim.SGD(model.parameters(), momentum=0.9)))
    assert foreseen.optimizer_state is None
    assert [each.how for each in foreseen.foreseen] == ["unknown"]


def test_sparse_gradients_that_are_there_are_counted() -> None:
    model = Sparse()
    backward(model)
    parts = [
        part
        for each in model.parameters()
        if each.grad is not None
        for part in (each.grad._indices(), each.grad._values())
    ]
    assert audit(model).cost.gradients == first_step(audit(model)).gradients == nbytes(parts)


def test_foreign_members_are_counted_unless_something_took_their_place() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    temperature = nn.Parameter(torch.ones(5))
    optimizer = torch.optim.SGD([*model.parameters(), temperature], momentum=0.9)
    foreseen = first_step(audit(model, optimizer=optimizer))
    assert foreseen.by_module["not in the model"] == (0, 0, 20, 0, None)
    model[1] = nn.Linear(3, 2)
    foreseen = first_step(audit(model, optimizer=optimizer))
    assert foreseen.optimizer_state == 60 + 20


def test_a_saved_report_costs_the_same() -> None:
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), amsgrad=True)
    report = audit(model, optimizer=optimizer)
    read = Report.from_json(report.to_json())
    assert read.cost == report.cost
    backward(model)
    optimizer.step()
    report = audit(model, optimizer=optimizer)
    assert Report.from_json(report.to_json()).cost == report.cost


def saved() -> str:
    """A report of a model whose optimizer no other process knows."""
    model = nn.Linear(4, 3)
    return str(audit(model, optimizer=Lion(model.parameters(), 0.1)).render("json", cost=True))


def test_a_cost_that_was_saved_is_read_and_else_torch_or_the_class_is_missed(tmp_path: Path) -> None:
    bare, whole = json.loads(saved()), tmp_path / "whole.json"
    whole.write_text(saved(), encoding="utf-8")
    jsonschema.validate(bare, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    del bare["cost"]
    (tmp_path / "bare.json").write_text(json.dumps(bare), encoding="utf-8")
    assert Report.from_json(saved()).cost.at_first_step == first_step(
        Report.from_json(whole.read_text(encoding="utf-8"))
    )
    code = (
        "import sys\nif sys.argv[3:]: sys.modules['torch'] = None\nfrom paramscope import Report\n"
        "for name in sys.argv[1:3]: first = Report.from_json(open(name).read()).cost.at_first_step; "
        "print(first.optimizer_state, first.foreseen[0].why)"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", code, str(whole), str(tmp_path / "bare.json"), *without],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for without in ([], ["torch"])
    ]
    missing = f"no class that is imported has the name {__name__}.Lion"
    torchless = "to ask the optimizer takes torch, which is not installed"
    assert told == [["30 ", f"None {missing}"], ["30 ", f"None {torchless}"]]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("state_of", [0, 1], "has state for other members than its own"),
        ("state_of", [0, 0, 0], "has state for other members than its own"),
        ("states", [[]], "has state that does not add up"),
        ("states", [[{"dtype": "float32", "device": "cpu", "nbytes": -1}]], "nbytes"),
    ],
)
def test_damaged_state_is_refused(key: str, value: Any, said: str) -> None:
    model = nn.Linear(4, 4, bias=False)
    model.other = nn.Linear(4, 4, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), momentum=0.9)
    model.other(model(torch.ones(1, 4))).sum().backward()
    optimizer.step()
    found = json.loads(audit(model, optimizer=optimizer).to_json())
    assert found["optimizers"][0]["groups"][0]["state_of"] == [0, 0]
    found["optimizers"][0]["groups"][0][key] = value
    with pytest.raises(ReportError, match=said):
        Report.from_json(json.dumps(found))


def test_a_llama_of_70_billion_parameters() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        hidden_size=8192, intermediate_size=28672, num_hidden_layers=80, num_attention_heads=64,
        num_key_value_heads=8, vocab_size=128256,
    )  # fmt: skip
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(config)
    foreseen = first_step(audit(model, optimizer=torch.optim.AdamW(model.parameters())))
    parameters = sum(each.numel() for each in model.parameters())
    assert foreseen.optimizer_state == 8 * parameters + 4 * sum(1 for _ in model.parameters())
    assert foreseen.gradients == foreseen.parameters == 4 * parameters
    assert foreseen.foreseen[0].how == "measured"


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*")
def test_lora() -> None:
    peft = pytest.importorskip("peft")
    from support.tiny_transformers import gpt2

    model = peft.get_peft_model(gpt2(), peft.LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True))
    whole, optimizer = gpt2(), torch.optim.AdamW([each for each in model.parameters() if each.requires_grad])
    foreseen = first_step(audit(model, optimizer=optimizer))
    tokens = torch.tensor([[1, 2, 3]])
    model(input_ids=tokens, labels=tokens).loss.backward()
    optimizer.step()
    assert foreseen.optimizer_state == held(optimizer)
    assert foreseen.gradients == nbytes(each.grad for each in model.parameters() if each.grad is not None)
    full = first_step(audit(whole, optimizer=torch.optim.AdamW(whole.parameters())))
    assert foreseen.total is not None
    assert full.total is not None
    assert foreseen.total < full.total / 2


def test_the_view() -> None:
    model = Net()
    report = audit(model, optimizer=torch.optim.Adam(model.parameters()))
    shown = report.render("cost")
    assert shown == SHOWN
    assert "| optimizer state |" in str(report.render("markdown", cost=True))
    assert "optimizer state" in str(report.render("html", cost=True))
    assert "optimizer state" not in str(report.render("markdown"))


def test_at_the_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = ("inspect", str(FIXTURES / "finetune.py:build"), "-O", "adamw", "--cost")
    assert run(*target) == 0
    shown = capsys.readouterr().out
    assert "optimizer state        0 B           24.0 MiB\n" in shown
    assert max(map(len, shown.splitlines()[1:])) <= 80
    assert run(*target, "-o", str(tmp_path / "report.json")) == 0
    assert run("inspect", str(tmp_path / "report.json"), "--cost") == 0
    assert capsys.readouterr().out == shown
    assert run(*target, "-f", "table") == 2
    assert "the format table takes no --cost" in capsys.readouterr().err


SHOWN = """\
Net, training mode

bytes              now  at the first step
---------------  -----  -----------------
parameters       612 B              612 B
gradients          0 B              444 B
optimizer state    0 B              900 B
buffers           12 B               12 B
activations                       unknown
total            624 B            1.9 KiB

by dtype  parameters  gradients  state  buffers    total
--------  ----------  ---------  -----  -------  -------
float32        552 B      384 B  780 B     12 B  1.7 KiB
bfloat16        60 B       60 B  120 B      0 B    240 B

by module        parameters  gradients  state  buffers    total
---------------  ----------  ---------  -----  -------  -------
embed                 264 B      264 B  532 B      0 B  1.0 KiB
frozen                168 B        0 B    0 B      0 B    168 B
low                    60 B       60 B  124 B      0 B    244 B
back                  120 B      120 B  244 B      0 B    484 B
the root itself         0 B        0 B    0 B     12 B     12 B

optimizer 0: Adam: state measured by a fresh one, on tensors without elements
at the first step: as if the loss reached all that is trainable
not in the total: activations (no inputs were given)
"""
