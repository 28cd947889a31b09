"""Runs for real: the gradients that arrive, what forward, backward and step change, and what cannot be run."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from support.run_models import NAMES, made
from torch import nn

from paramscope import Report, audit
from paramscope.errors import RunError


def slots_of(report: Report, **wanted: Any) -> set[str]:
    """Paths of the slots that all of these are true of."""
    return {
        slot.path
        for slot in report.slots.records()
        if all(getattr(slot, name) == value for name, value in wanted.items())
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_is_reached_is_what_a_run_by_hand_gives_gradients(name: str) -> None:
    ready = made(name)
    torch.manual_seed(1)
    report = audit(ready.model, inputs=ready.inputs, loss=ready.loss, run="backward")
    torch.manual_seed(1)
    scalars = ready.by_hand()
    run = report.run
    assert run is not None
    assert run.loss_requires_grad
    assert run.is_loss_finite
    assert {path for path, p in ready.named() if p.grad is not None} == {
        path for path, _ in ready.named() if report.slots[path].reached
    }
    assert all(each.isfinite() for each in scalars)
    for path, parameter in ready.named():
        slot = report.slots[path]
        grad = None if parameter.grad is None else parameter.grad.to_dense()
        if grad is None:
            assert (slot.grad, slot.grad_norm) == ("none" if parameter.requires_grad else None, None), path
            continue
        assert slot.grad == ("finite" if grad.any() else "zero"), path
        assert slot.grad_norm == pytest.approx(float(grad.norm()), rel=1e-4), path
        if grad.ndim > 1:
            assert slot.grad_rows == (int(grad.flatten(1).any(1).sum()), len(grad)), path


@pytest.mark.parametrize("name", NAMES)
def test_what_a_step_changes_is_what_one_by_hand_changes(name: str) -> None:
    ready = made(name)
    torch.manual_seed(1)
    report = audit(ready.model, optimizer=ready.optimizer, inputs=ready.inputs, loss=ready.loss, run="step")
    before = {path: p.detach().clone() for path, p in ready.named()}
    torch.manual_seed(1)
    ready.step()
    for path, parameter in ready.named():
        slot, added = report.slots[path], (parameter.detach() - before[path]).norm()
        assert ("step" in (slot.changed_by or ())) == (not torch.equal(parameter, before[path])), path
        norm = before[path].norm()
        if norm and slot.groups:
            assert slot.update_ratio == pytest.approx(float(added / norm), rel=1e-3), path


def test_phases() -> None:
    class Net(nn.Module):
        calls: torch.Tensor
        grads: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
            self.register_buffer("calls", torch.zeros(2))
            self.register_buffer("grads", torch.zeros(()))
            self.register_buffer("nan", torch.full((3,), math.nan))
            self.row = torch.zeros(2, 2)[0]
            self.other_row = self.row.new_empty(0).set_(self.row.untyped_storage(), 2, (2,), (1,))
            self.body[1].register_full_backward_hook(self.counted)

        def counted(self, *_: Any) -> None:
            self.grads.add_(1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls = self.calls + 1  # a tensor in its place, which changes nothing of it
            self.row.data[0] = 1
            return self.body(x)

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    report = audit(
        model, optimizer=optimizer, inputs=torch.randn(3, 2), loss=lambda out: out[:, 0].exp().sum(), run="step"
    )
    statistics = {f"body.1.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}
    assert slots_of(report, changed_by=("forward",)) == {*statistics, "row"}
    assert slots_of(report, changed_by=("backward",)) == {"grads"}
    assert slots_of(report, changed_by=("step",)) >= {"body.0.weight", "body.1.weight", "body.1.bias"}
    assert slots_of(report, changed_by=()) - {"body.0.bias"} == {"calls", "nan", "other_row"}
    assert report.slots["body.1.weight"].grad_rows is None
    assert report.slots["body.0.weight"].grad_rows == (1, 2)
    assert report.run is not None
    assert (report.run.kind, report.run.is_random, report.run.notes) == ("step", None, ())


@pytest.mark.parametrize(
    ("factor", "grad", "norm"),
    [(0.0, "zero", 0.0), (1e-30, "finite", 2e-30), (1e30, "finite", 2e30), (math.inf, "non-finite", None)],
)
def test_gradients_of_any_size(factor: float, grad: str, norm: float | None) -> None:
    report = audit(nn.Linear(4, 1, bias=False), inputs=torch.full((4,), factor), run="backward")
    slot = report.slots["weight"]
    assert (slot.reached, slot.grad) == (True, grad)
    assert slot.grad_norm == (None if norm is None else pytest.approx(norm))
    assert report.run is not None
    assert report.run.is_loss_finite is (factor < math.inf)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.complex64])
def test_gradients_of_any_dtype(dtype: torch.dtype) -> None:
    model = nn.Linear(4, 1, dtype=dtype)
    report = audit(
        model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        inputs=torch.ones(4, dtype=dtype),
        loss=lambda out: out.abs().sum(),
        run="step",
    )
    assert report.slots["weight"].grad_norm == pytest.approx(2.0, rel=1e-2)
    assert report.slots["weight"].update_ratio == pytest.approx(0.2 / float(model.weight.detach().norm()), rel=2e-2)


class Dropping(nn.Module):
    """A dropout that nobody turns off."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.body = nn.Linear(4, 4)
        self.p = p
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Different each time, or not."""
        self.calls += 1
        return nn.functional.dropout(self.body(x), self.p) * self.calls


def test_what_is_random_in_eval_mode() -> None:
    def said(model: nn.Module, inputs: Any) -> bool | None:
        run = audit(model, inputs=inputs, run="backward").run
        assert run is not None
        return run.is_random

    rows = torch.ones(8, 4)
    assert said(Dropping(0.5).eval(), rows) is True
    # It counts its calls: the second forward begins where the first did.
    assert said(Dropping(0.0).eval(), rows) is False
    assert said(Dropping(0.5), rows) is None
    # Inputs that are drawn anew are none of the model's doing.
    assert said(Dropping(0.0).eval(), lambda: torch.randn(8, 4)) is False
    assert said(Dropping(0.0).eval(), lambda model: model(torch.randn(8, 4))) is None
    assert said(nn.Linear(4, 4).eval(), rows * math.nan) is False


def test_a_loss_without_gradient() -> None:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, weight_decay=0.1)
    report = audit(model, optimizer=optimizer, inputs=torch.ones(2), loss=lambda out: out.detach().sum(), run="step")
    assert report.run is not None
    assert not report.run.loss_requires_grad
    assert report.run.notes == ("no optimizer was stepped: the loss does not require grad",)
    assert slots_of(report, reached=False, grad="none", changed_by=()) == {"weight", "bias"}


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_mode_of_the_caller_does_not_matter(mode: Any) -> None:
    model = nn.Linear(2, 2)
    inputs = torch.ones(2)
    with mode():
        report = audit(model, inputs=inputs, run="backward")
    assert slots_of(report, grad="finite") == {"weight", "bias"}


class Bad(nn.Module):
    """Raises in one way or another."""

    def __init__(self, how: str = "") -> None:
        super().__init__()
        self.how = how
        self.body = nn.Linear(3, 3)
        self.table = nn.Embedding(3, 5)

    def raising(self, *_: Any) -> None:
        """A hook."""
        raise ValueError("the hook's own words")

    def forward(self, x: torch.Tensor) -> Any:
        """What `how` says."""
        if self.how == "index":
            return self.table(x)
        y = self.body(x).exp()
        if self.how == "hook":
            y.register_hook(self.raising)
        if self.how == "in place":
            y += 1
        if self.how == "memory":
            y = y + torch.empty(1 << 50)
        return None if self.how == "nothing" else y


class Drawer(nn.Module):
    """Uses what an earlier forward computed."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.last: Any = (self.weight * 2).exp().sum()
        self.last.backward()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Both."""
        return (self.weight * x).sum() + self.last


def inference_tensor() -> torch.Tensor:
    """Made where autograd does not look."""
    with torch.inference_mode():
        return torch.ones(2, 3)


ROWS = torch.ones(2, 3)
BAD: dict[str, tuple[nn.Module, dict[str, Any], list[str]]] = {
    "shape": (
        Bad(),
        {"inputs": torch.ones(2, 4)},
        ["model(2×4 float32) raised RuntimeError", "y = self.body(x).exp()", "cannot be multiplied"],
    ),
    "keyword": (
        Bad(),
        {"inputs": {"z": ROWS}},
        ["model(z=2×3 float32) raised TypeError", "unexpected keyword argument 'z'"],
    ),
    "index": (
        Bad("index"),
        {"inputs": torch.tensor([0, 3])},
        ["model(2 int64) raised IndexError", "return self.table(x)", "index 3 is out of range", "3 rows (0 to 2)"],
    ),
    "negative index": (Bad("index"), {"inputs": torch.tensor([-1])}, ["index -1 is out of range"]),
    "in place": (
        Bad("in place"),
        {"inputs": ROWS},
        ["backward from the sum of the output raised RuntimeError", "write x = x + 1 in place of x += 1"],
    ),
    "twice": (Drawer(), {"inputs": torch.ones(2)}, ["a second time", "detach it"]),
    "hook": (Bad("hook"), {"inputs": ROWS}, ["raised ValueError", "in raising", "the hook's own words"]),
    "memory": (Bad("memory"), {"inputs": ROWS}, ["raised RuntimeError", 'run="graph" takes no memory']),
    "nothing": (Bad("nothing"), {"inputs": ROWS}, ["it holds no floating-point tensor, but None"]),
    "inference": (Bad(), {"inputs": inference_tensor()}, ["Inference tensors", "tensor.clone()"]),
    "no scalar": (Bad(), {"inputs": ROWS, "loss": lambda out: out}, ["gave no scalar but 2×3 float32"]),
    "loss": (Bad(), {"inputs": ROWS, "loss": lambda out: out.los}, ["loss(output) raised AttributeError"]),
    "inputs": (Bad(), {"inputs": lambda model: model.nope}, ["<lambda>(model) raised AttributeError"]),
    "no inputs": (Bad(), {}, ["it is not known what forward is to be given"]),
    "meta": (nn.Linear(3, 3, device="meta"), {"inputs": ROWS.to("meta")}, ["on the meta device", 'run="graph"']),
    "no optimizer": (Bad(), {"inputs": ROWS, "run": "step"}, ["there is no optimizer to step"]),
    "no such run": (Bad(), {"inputs": ROWS, "run": "forward"}, ["there is no run 'forward'"]),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_run_says_why(case: str) -> None:
    model, options, words = BAD[case]
    with pytest.raises(RunError) as caught:
        audit(model, **{"run": "backward", **options})
    said = str(caught.value)
    assert [each for each in words if each not in said] == [], said
    assert "probe/" not in said
    assert "torch/nn" not in said


def test_memory_that_is_short_for_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    def clone(self: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(torch.UntypedStorage, "clone", clone)
    with pytest.raises(RunError, match="memory is short for a copy of the model"):
        audit(nn.Linear(2, 2), inputs=torch.ones(2), run="backward")


def test_what_backward_steps_is_reached() -> None:
    model = nn.Linear(2, 2)
    optimizers = {parameter: torch.optim.SGD([parameter], lr=0.1) for parameter in model.parameters()}

    def step(parameter: torch.Tensor) -> None:
        optimizers[parameter].step()  # type: ignore[index]
        optimizers[parameter].zero_grad()  # type: ignore[index]

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(step)
    before = [parameter.clone() for parameter in model.parameters()]
    report = audit(model, inputs=torch.ones(1, 2), run="backward")
    assert [(slot.reached, slot.changed_by) for slot in report.slots.records()] == [(True, ("backward",))] * 2
    assert all(map(torch.equal, model.parameters(), before))


def test_a_step_that_needs_a_closure_and_does_not_say_so() -> None:
    class Sharp(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            assert closure is not None
            closure()
            return super().step()

    model = nn.Linear(2, 2)
    report = audit(model, optimizer=Sharp(model.parameters(), lr=0.1), inputs=torch.ones(1, 2), run="step")
    assert all("step" in (slot.changed_by or ()) for slot in report.slots.records())
