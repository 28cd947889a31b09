"""Training loops in which nothing is wrong: a watch says nothing of any step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from paramscope import watch

STEPS = 30


@contextmanager
def silent(model: Any, optimizer: Any) -> Iterator[Any]:
    """A watch that is to find nothing in a block, which takes some steps."""
    torch.manual_seed(0)
    with watch(model, optimizer, steps=True, on_finding="collect") as watched:
        yield watched
    assert watched.findings == (), str(watched)
    assert "step" in str(watched)


def net() -> Any:
    """Dropout and a norm, which do something else in each mode."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 1))


def loss_of(model: Any) -> torch.Tensor:
    """Of a random batch."""
    loss: torch.Tensor = (model(torch.randn(16, 4)) - 1).square().mean()
    return loss


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.1),
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-3),
    "tiny rate": lambda p: torch.optim.Adam(p, lr=1e-9),
    "foreach": lambda p: torch.optim.AdamW(p, lr=1e-3, foreach=True),
    "fused": lambda p: torch.optim.AdamW(p, lr=1e-3, fused=True),
    "tensor rate": lambda p: torch.optim.Adam(p, lr=torch.tensor(1e-3)),
    "Adafactor": lambda p: torch.optim.Adafactor(p),
    "Adagrad": lambda p: torch.optim.Adagrad(p),
    "Rprop": lambda p: torch.optim.Rprop(p),
    "ASGD": lambda p: torch.optim.ASGD(p),
    "RMSprop": lambda p: torch.optim.RMSprop(p),
    "NAdam": lambda p: torch.optim.NAdam(p),
}


@pytest.mark.parametrize("set_to_none", [True, False])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_plain_loop(name: str, *, set_to_none: bool) -> None:
    if name == "Adafactor" and not hasattr(torch.optim, name):
        pytest.skip("this torch does not have it")
    model = net()
    optimizer = OPTIMIZERS[name](model.parameters())
    with silent(model, optimizer) as watched:
        for _ in range(STEPS):
            optimizer.zero_grad(set_to_none=set_to_none)
            loss_of(model).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    assert str(watched).startswith(f"{STEPS} steps\n")


@pytest.mark.parametrize("set_to_none", [True, False])
def test_gradients_that_are_cleared_by_hand(*, set_to_none: bool) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with silent(model, optimizer):
        for _ in range(STEPS):
            loss_of(model).backward()
            optimizer.step()
            for parameter in model.parameters():
                assert parameter.grad is not None
                if set_to_none:
                    parameter.grad = None
                else:
                    parameter.grad.data.zero_()


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("set_to_none", [True, False])
def test_accumulation_and_how_many_backward_passes_a_step_has(*, set_to_none: bool, clip: bool) -> None:
    model = net()
    optimizer = torch.optim.AdamW(model.parameters())
    with silent(model, optimizer) as watched:
        for batch in range(4 * STEPS):
            (loss_of(model) / 4).backward()
            if batch % 4 == 3:
                if clip:
                    nn.utils.clip_grad_norm_(model.parameters(), 0.1)
                optimizer.step()
                optimizer.zero_grad(set_to_none=set_to_none)
    assert str(watched).startswith(f"{STEPS} steps, each of 4 backward passes")


def test_gradients_that_are_given_by_hand() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with silent(model, optimizer):
        for _ in range(STEPS):
            for parameter, gradient in zip(
                model.parameters(), torch.autograd.grad(loss_of(model), list(model.parameters())), strict=True
            ):
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                parameter.grad.copy_(gradient)
            optimizer.step()


@pytest.mark.parametrize("is_replaced", [False, True])
def test_gradients_that_are_given_by_hand_over_those_of_backward(*, is_replaced: bool) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with silent(model, optimizer):
        for _ in range(STEPS):
            loss = loss_of(model)
            loss.backward(retain_graph=True)  # as where losses are weighed by their gradients, GradNorm
            given = torch.autograd.grad(loss, list(model.parameters()))
            for parameter, gradient in zip(model.parameters(), given, strict=True):
                if is_replaced:
                    parameter.grad = gradient
                else:
                    parameter.grad.copy_(-gradient)
            optimizer.step()


@pytest.mark.parametrize("fused", [False, True])
def test_a_gradient_scaler_that_skips_steps(*, fused: bool) -> None:
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**100, growth_interval=5)
    weights = copy.deepcopy(model.state_dict())
    with silent(model, optimizer):
        for number in range(STEPS):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                loss = loss_of(model)
            scaler.scale(loss if number % 7 else loss * float("inf")).backward()
            if not fused:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
    assert not torch.equal(weights["0.weight"], model[0].weight)


@pytest.mark.parametrize("detached", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_the_turns_of_a_gan(*, detached: bool, frozen: bool) -> None:
    generator, critic = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 4)), net()
    steps = torch.optim.Adam(generator.parameters(), 1e-3), torch.optim.Adam(critic.parameters(), 1e-3)
    with silent({"generator": generator, "critic": critic}, {"generator": steps[0], "critic": steps[1]}) as watched:
        for _ in range(STEPS):
            critic.requires_grad_(True)
            steps[1].zero_grad()
            fake = generator(torch.randn(16, 2))
            critic(torch.randn(16, 4)).mean().backward()
            (-critic(fake.detach() if detached else fake)).mean().backward()
            steps[1].step()
            critic.requires_grad_(not frozen)
            steps[0].zero_grad()
            critic(generator(torch.randn(16, 2))).mean().backward()
            steps[0].step()
    # The pass of the generator's turn reaches the critic, too, and is cleared before its own.
    assert f"{STEPS} steps of optimizer critic, each of 2 backward passes" in str(watched)


def test_a_gan_of_which_one_half_is_watched() -> None:
    generator, critic = nn.Linear(2, 4), net()
    whole = nn.ModuleDict({"generator": generator, "critic": critic})
    mine, other = torch.optim.Adam(generator.parameters(), 1e-3), torch.optim.Adam(critic.parameters(), 1e-3)
    with silent(whole, mine):
        for _ in range(STEPS):
            critic.requires_grad_(True)
            other.zero_grad()
            (critic(torch.randn(16, 4)) - critic(generator(torch.randn(16, 2)).detach())).mean().backward()
            other.step()
            critic.requires_grad_(False)
            mine.zero_grad()
            critic(generator(torch.randn(16, 2))).mean().backward()
            mine.step()


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_down_to_where_nothing_moves(search: str | None) -> None:
    model = nn.Linear(4, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, line_search_fn=search)
    batch = torch.randn(16, 4)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (model(batch) - batch.sum(1, keepdim=True)).square().mean()
        loss.backward()
        return loss

    with silent(model, optimizer):
        for _ in range(STEPS):
            optimizer.step(closure)


def test_a_compiled_model() -> None:
    model = net()
    compiled = torch.compile(model, backend="aot_eager")
    optimizer = torch.optim.AdamW(model.parameters())
    with silent(compiled, optimizer), silent(model, optimizer):
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss_of(compiled).backward()
            optimizer.step()


def test_an_average_of_the_weights() -> None:
    model = net()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with silent({"model": model, "average": average}, optimizer):
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss_of(model).backward()
            optimizer.step()
            average.update_parameters(model)


def test_a_target_network_within_the_model() -> None:
    model = nn.ModuleDict({"online": net(), "target": net().requires_grad_(False).eval()})
    optimizer = torch.optim.Adam(model["online"].parameters())
    with silent(model, optimizer):
        for number in range(STEPS):
            optimizer.zero_grad()
            loss_of(model["online"]).backward()
            optimizer.step()
            if number % 5 == 0:
                model["target"].load_state_dict(model["online"].state_dict())


def test_validation_between_epochs() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with silent(model, optimizer):
        for _ in range(5):
            model.train()
            for _ in range(4):
                optimizer.zero_grad()
                loss_of(model).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                loss_of(model)


def test_a_model_in_eval_mode_from_the_first_step_and_norms_that_are_put_in_it_later() -> None:
    for prepare in (lambda model: model.eval(), lambda model: model):
        model = prepare(net())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        with silent(model, optimizer):
            for number in range(STEPS):
                if number == 5:
                    model[1].eval()
                optimizer.zero_grad()
                loss_of(model).backward()
                optimizer.step()


@pytest.mark.parametrize("is_compiled", [False, True])
def test_eval_mode_of_what_has_nothing_that_asks_for_it(*, is_compiled: bool) -> None:
    model: Any = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.0), nn.Linear(8, 1))
    if is_compiled:
        model = torch.compile(model, backend="eager")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with silent(model, optimizer):
        for number in range(STEPS):
            if number == 3:
                model.eval()
            optimizer.zero_grad()
            loss_of(model).backward()
            optimizer.step()


@pytest.mark.parametrize("schedule", ["one cycle", "from zero", "to zero"])
def test_schedules_that_begin_or_end_with_no_rate(schedule: str) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedulers = {
        "one cycle": lambda: torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, STEPS, div_factor=1e9),
        "from zero": lambda: torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: step / STEPS if step > 10 else 0
        ),
        "to zero": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS // 2),
    }
    scheduler = schedulers[schedule]()
    with silent(model, optimizer):
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss_of(model).backward()
            optimizer.step()
            scheduler.step()


class Experts(nn.Module):
    """Each batch goes to one of eight experts, of which two are chosen rarely."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(4, 4) for _ in range(8))
        self.head = nn.Linear(4, 1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        at = min(int(torch.randint(0, 30, ())), 7) if torch.rand(()) < 0.3 else int(torch.randint(0, 6, ()))
        found: torch.Tensor = self.head(self.experts[at](batch))
        return found


def test_experts_and_layers_that_are_left_out_now_and_then() -> None:
    model = Experts()
    optimizer = torch.optim.AdamW(model.parameters())
    with silent(model, optimizer):
        for _ in range(300):
            optimizer.zero_grad()
            loss_of(model).backward()
            optimizer.step()


def test_tasks_that_take_turns_by_the_epoch() -> None:
    model = nn.ModuleDict({"trunk": nn.Linear(4, 4), "first": nn.Linear(4, 1), "second": nn.Linear(4, 1)})
    optimizer = torch.optim.AdamW(model.parameters())
    with silent(model, optimizer):
        for number in range(120):
            optimizer.zero_grad()
            head = model["first" if number // 20 % 2 == 0 else "second"]
            loss_of(lambda batch, head=head: head(model["trunk"](batch))).backward()
            optimizer.step()


def test_what_is_frozen_and_thawed_while_the_optimizer_holds_it() -> None:
    model = net()
    optimizer = torch.optim.AdamW(model.parameters())
    model[0].requires_grad_(False)
    with silent(model, optimizer):
        for number in range(STEPS):
            if number == 5:
                model[0].requires_grad_(True)
            if number == 12:
                model[0].requires_grad_(False)
            optimizer.zero_grad()
            loss_of(model).backward()
            optimizer.step()


def test_what_is_thawed_and_handed_over() -> None:
    model = net()
    model[0].requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    with silent(model, optimizer):
        for number in range(STEPS):
            if number == 5:
                model[0].requires_grad_(True)
                optimizer.add_param_group({"params": list(model[0].parameters()), "lr": 1e-4})
            optimizer.zero_grad()
            loss_of(model).backward()
            optimizer.step()


def test_a_head_that_is_replaced_and_handed_over() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with silent(model, optimizer):
        for number in range(STEPS):
            if number == 5:
                model[4] = nn.Linear(8, 1)
                optimizer.add_param_group({"params": list(model[4].parameters())})
            optimizer.zero_grad()
            loss_of(model).backward()
            optimizer.step()


@pytest.mark.parametrize("move", ["to", "load", "prune", "parametrize", "peft"])
def test_what_keeps_the_tensors_that_the_optimizer_holds(move: str) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    saved = copy.deepcopy(model.state_dict())

    def moved() -> None:
        if move == "to":
            model.double().float()
        elif move == "load":
            model.load_state_dict(saved)
        elif move == "prune":
            nn.utils.prune.random_unstructured(model[0], "weight", 0.5)
        elif move == "parametrize":
            nn.utils.parametrizations.spectral_norm(model[0])
        else:
            from peft import LoraConfig, inject_adapter_in_model

            inject_adapter_in_model(LoraConfig(target_modules=["4"], r=2), model)
            optimizer.add_param_group({"params": [p for n, p in model.named_parameters() if "lora_" in n]})

    with silent(model, optimizer):
        for number in range(STEPS):
            if number == 5:
                moved()
            optimizer.zero_grad()
            loss_of(model).backward()
            optimizer.step()


def test_sparse_gradients() -> None:
    model = nn.Sequential(nn.Embedding(20, 4, sparse=True), nn.Linear(4, 1))
    optimizers = [torch.optim.SparseAdam(model[0].parameters()), torch.optim.Adam(model[1].parameters())]
    with silent(model, optimizers):
        for _ in range(STEPS):
            for optimizer in optimizers:
                optimizer.zero_grad()
            model(torch.randint(0, 20, (8,))).square().mean().backward()
            for optimizer in optimizers:
                optimizer.step()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.complex64])
def test_weights_of_other_dtypes(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(4, 8, dtype=dtype), nn.Linear(8, 1, dtype=dtype))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)
    with silent(model, optimizer):
        for _ in range(STEPS):
            optimizer.zero_grad()
            model(torch.randn(8, 4, dtype=dtype)).abs().mean().backward()
            optimizer.step()


def test_weights_that_are_pruned_by_hand_after_each_step() -> None:
    model = nn.Linear(64, 64)
    mask = (torch.rand(64, 64) > 0.95).float()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with silent(model, optimizer):
        for _ in range(STEPS):
            with torch.no_grad():
                model.weight.mul_(mask)
            optimizer.zero_grad()
            model(torch.randn(8, 64)).square().mean().backward()
            optimizer.step()


@pytest.mark.parametrize("kind", [torch.optim.Adagrad, torch.optim.RMSprop, torch.optim.Adam])
def test_steps_that_are_divided_by_a_far_larger_gradient_before(kind: Any) -> None:
    model = nn.Linear(3, 1)
    optimizer = kind(model.parameters(), lr=1e-3)
    with silent(model, optimizer):
        for number in range(200):
            optimizer.zero_grad()
            loss = (model(torch.randn(8, 3)) - 1).square().mean()
            (loss * (1e7 if number < 2 else 1e-2)).backward()
            optimizer.step()


class Given(torch.optim.SGD):
    """Its step takes something else than a closure."""

    def step(self, given: Any) -> None:  # type: ignore[override]
        """As SGD, if that is what it is for."""
        if given == 0.5 or list(given.parameters()) == self.param_groups[0]["params"]:
            super().step()


@pytest.mark.parametrize("is_model", [False, True])
def test_what_a_step_takes_and_is_no_closure(*, is_model: bool) -> None:
    model = net()
    optimizer = Given(model.parameters(), lr=0.1)
    with silent(model, optimizer) as watched:
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss_of(model).backward()
            optimizer.step(model if is_model else 0.5)
    assert str(watched).startswith(f"{STEPS} steps\n")


class Patient(torch.optim.SGD):
    """Its step calls that of SGD, whose hooks torch calls, too."""

    def step(self, closure: Any = None) -> Any:
        """As SGD."""
        return super().step(closure)


def test_a_step_within_a_step_is_one() -> None:
    torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1)  # torch puts its hooks into a class at its first instance
    model = net()
    optimizer = Patient(model.parameters(), lr=0.1)
    with silent(model, optimizer) as watched:
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss_of(model).backward()
            optimizer.step()
    assert str(watched).startswith(f"{STEPS} steps\n")


def test_sharpness_aware_steps() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with silent(model, optimizer):
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss_of(model).backward()
            with torch.no_grad():
                moved = [
                    (p, 0.05 * p.grad / (p.grad.norm() + 1e-12)) for p in model.parameters() if p.grad is not None
                ]
                for parameter, by in moved:
                    parameter.add_(by)
            optimizer.zero_grad()
            loss_of(model).backward()
            with torch.no_grad():
                for parameter, by in moved:
                    parameter.sub_(by)
            optimizer.step()


def test_checkpointing_and_gradients_of_gradients() -> None:
    from torch.utils.checkpoint import checkpoint

    for use_reentrant in (True, False):
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        with silent(model, optimizer):
            for _ in range(STEPS):
                optimizer.zero_grad()
                batch = torch.randn(8, 4, requires_grad=True)
                checkpoint(model, batch, use_reentrant=use_reentrant).square().mean().backward()
                optimizer.step()
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with silent(model, optimizer):
        for _ in range(STEPS):
            optimizer.zero_grad()
            batch = torch.randn(8, 4, requires_grad=True)
            (slope,) = torch.autograd.grad(model(batch).sum(), batch, create_graph=True)
            (slope.norm(dim=1) - 1).square().mean().backward()
            loss_of(model).backward()
            optimizer.step()


def test_two_losses_with_an_optimizer_each_over_one_trunk() -> None:
    model = nn.ModuleDict({"trunk": nn.Linear(4, 4), "first": nn.Linear(4, 1), "second": nn.Linear(4, 1)})
    first = torch.optim.SGD([*model["trunk"].parameters(), *model["first"].parameters()], lr=0.01)
    second = torch.optim.SGD(model["second"].parameters(), lr=0.01)
    with silent(model, [first, second]):
        for _ in range(STEPS):
            first.zero_grad()
            second.zero_grad()
            batch = torch.randn(8, 4)
            model["first"](model["trunk"](batch)).square().mean().backward()
            first.step()
            (model["second"](model["trunk"](batch)) - 1).square().mean().backward()
            second.step()


@pytest.mark.filterwarnings("ignore")  # of torch's compiler
@pytest.mark.parametrize("compiled", ["step", "loop"])
def test_a_compiled_step(compiled: str) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=torch.tensor(0.01))
    step = torch.compile(optimizer.step, backend="eager") if compiled == "step" else optimizer.step

    def loop() -> None:
        optimizer.zero_grad()
        loss_of(model).backward()
        step()

    if compiled == "loop":
        loop = torch.compile(loop, backend="eager")
    with silent(model, optimizer) as watched:
        for _ in range(4):
            loop()
    assert str(watched).startswith("4 steps")


class TopFew(torch.optim.SGD):
    """Moves the one element with the largest gradient, of each tensor."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Sparse."""
        for group in self.param_groups:
            for parameter in group["params"]:
                at = int(parameter.grad.abs().argmax())
                parameter.view(-1)[at] -= group["lr"] * parameter.grad.view(-1)[at]


def test_a_step_that_moves_a_single_element() -> None:
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 1))
    optimizer = TopFew(model.parameters(), lr=0.1)
    with silent(model, optimizer):
        for _ in range(STEPS):
            optimizer.zero_grad()
            model(torch.randn(8, 64)).square().mean().backward()
            optimizer.step()
