"""Training loops with a bug: a watch names it, at the step where it happens, once."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import nn

from paramscope import Finding, Severity, audit, watch
from paramscope.api import judge
from paramscope.errors import FindingsError, FindingsWarning
from paramscope.rules.choice import RuleError
from paramscope.rules.discovery import discover
from paramscope.rules.rule import Loaded

RULES = [loaded for loaded in discover().rules if loaded.rule.needs == "loop"]


class Net(nn.Module):
    """A backbone and a head, with a dropout."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8))
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(8, 1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """One number each."""
        found: torch.Tensor = self.head(self.dropout(self.backbone(batch)))
        return found


def loss_of(model: Any) -> torch.Tensor:
    """Of a random batch."""
    loss: torch.Tensor = (model(torch.randn(16, 4)) - 1).square().mean()
    return loss


def train(model: Any, optimizer: Any, steps: int = 20, before: Callable[[int], object] | None = None) -> None:
    """A plain loop. before: called with the number of each step."""
    for number in range(1, steps + 1):
        if before is not None:
            before(number)
        model.zero_grad()
        loss_of(model).backward()
        optimizer.step()


@contextmanager
def collected(model: Any, optimizer: Any) -> Iterator[list[Finding]]:
    """What a watch finds in a block."""
    found: list[Finding] = []
    with watch(model, optimizer, steps=True, on_finding="collect") as watched:
        yield found
    found += watched.findings


def sgd(model: Any) -> torch.optim.Optimizer:
    """Of all parameters, whose gradients the loop clears."""
    return torch.optim.SGD(model.parameters(), lr=0.1)


def test_there_are_seven() -> None:
    assert [each.rule.code for each in RULES] == [f"PS72{number}" for number in range(1, 8)]


@pytest.mark.parametrize("each", RULES, ids=lambda each: each.rule.code)
def test_the_example_shows_the_finding_and_what_to_write_instead_does_not(each: Loaded) -> None:
    bad, *good = [part.partition("\n```")[0] for part in each.doc.split("```python\n")[1:]]
    assert good
    for block, expected in ((bad, {each.rule.code}), *((block, set()) for block in good)):
        torch.manual_seed(0)
        made: dict[str, Any] = {}
        exec(block, made)
        with collected(made["model"], made["optimizer"]) as found:
            for number in range(1, 21):
                made["step"](number)
        assert {finding.code for finding in found} == expected
        for finding in found:
            assert (finding.name, finding.severity) == (each.rule.name, each.rule.severity)
            assert "{" not in finding.message.replace("{'params'", "")
            assert finding.help
            assert finding.location is None


@pytest.mark.parametrize("set_by", ["forgotten", "clipped", "micro-steps", "now and then"])
def test_gradients_that_are_never_cleared(set_by: str) -> None:
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters())
    with collected(model, optimizer) as found:
        for number in range(12):
            if set_by == "now and then" and number % 4 == 0:
                optimizer.zero_grad()
            for _ in range(3 if set_by == "micro-steps" else 1):
                loss_of(model).backward()
            if set_by == "clipped":
                nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
    (finding,) = found
    assert finding.code == "PS721"
    assert finding.message.startswith("At step 2, the gradients of backbone.[0,2].weight and head.weight were")
    assert finding.message.endswith(
        "were still what the step before had used when backward added to them: nothing cleared them in between, and the "
        "step goes along the sum of both."
    )


def test_gradients_of_the_gan_half_that_nobody_clears() -> None:
    model: Any = nn.ModuleDict({"generator": nn.Linear(2, 4), "critic": Net()})
    generator, critic = sgd(model["generator"]), sgd(model["critic"])
    with collected(model, {"generator": generator, "critic": critic}) as found:
        for _ in range(5):
            generator.zero_grad()
            model["critic"](model["generator"](torch.randn(8, 2))).mean().backward()
            generator.step()
            (model["critic"](torch.randn(8, 4)) - 1).square().mean().backward()
            critic.step()
    (finding,) = found
    assert finding.code == "PS721"
    assert finding.message.startswith("At step 2 of optimizer critic, the gradients of critic.")


def test_no_gradient_is_cleared_in_a_closure() -> None:
    model = Net()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)

    def closure() -> torch.Tensor:
        loss = loss_of(model)
        loss.backward()
        return loss

    with collected(model, optimizer) as found:
        for _ in range(3):
            optimizer.step(closure)
    assert [(finding.code, finding.message[:9]) for finding in found] == [("PS721", "At step 2")]


class Lost(torch.optim.SGD):
    """Its step makes new tensors, and drops them."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Moves nothing."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter = parameter - group["lr"] * parameter.grad


def test_a_step_that_changes_nothing() -> None:
    model = Net()
    with collected(model, optimizer := Lost(model.parameters(), lr=0.1)) as found:
        train(model, optimizer)
    assert {finding.code for finding in found} == {"PS722"}
    assert "are what they were 5 steps before step 5, in all elements that were looked at" in found[0].message
    assert "backbone.[0,2].weight" in found[0].message


def test_a_step_that_does_so_later() -> None:
    model = Net()
    optimizer = sgd(model)
    step = type(optimizer).step

    def lose(number: int) -> None:
        if number == 8:
            optimizer.__class__ = Lost

    Lost([nn.Parameter(torch.ones(1))], lr=1.0)  # torch puts its hooks into a class at its first instance
    with collected(model, optimizer) as found:
        train(model, optimizer, before=lose)
    assert "5 steps before step 12," in found[0].message
    assert type(optimizer).step is not step


def test_the_optimizer_of_another_model() -> None:
    model, other = Net(), Net()
    with collected(model, optimizer := sgd(other)) as found:
        train(model, optimizer)
    (finding,) = found
    assert finding.code == "PS722"
    assert finding.message.endswith("5 steps before step 6: the optimizers hold none of the model's parameters.")


def replace_head(model: Any) -> None:
    """A new one."""
    model.head = nn.Linear(8, 1)


def assign(model: Any) -> None:
    """As `load_state_dict(…, assign=True)` does after a checkpoint was read."""
    model.load_state_dict(copy.deepcopy(model.state_dict()), assign=True)


def move(model: Any) -> None:
    """As `.to()` does on devices whose tensors cannot take each other's place."""
    was = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        model.double().float()
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(was)


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        (replace_head, ("head.weight", "head.bias")),
        *[
            (
                change,
                tuple(
                    f"{module}.{name}"
                    for module in ("backbone.0", "backbone.2", "head")
                    for name in ("weight", "bias")
                ),
            )
            for change in (assign, move)
        ],
    ],
)
@pytest.mark.parametrize("step", [1, 6])
def test_a_slot_that_is_replaced(change: Callable[[Any], None], paths: tuple[str, ...], step: int) -> None:
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters())
    with collected(model, optimizer) as found:
        train(model, optimizer, before=lambda number: change(model) if number == step else None)
    (finding,) = found
    assert (finding.code, finding.severity, finding.paths) == ("PS723", Severity.ERROR, paths)
    assert finding.message.startswith(f"Since step {step}, ")


def test_a_mode_that_is_left() -> None:
    model = Net()
    optimizer = sgd(model)
    with collected(model, optimizer) as found:
        train(model, optimizer, before=lambda number: model.eval() if number == 4 else None)
    (finding,) = found
    assert (finding.code, finding.paths) == ("PS724", ("", "dropout"))
    assert finding.message == (
        "At step 4, the root is in eval mode, and was in training mode at the step before: dropout asks for it."
    )


def test_a_mode_of_one_of_two_roots() -> None:
    model = {"a": Net(), "b": Net()}
    first, second = sgd(model["a"]), sgd(model["b"])
    with collected(model, [first, second]) as found:
        for number in range(1, 6):
            if number == 3:
                model["b"].eval()
            train(model["a"], first, 1)
            train(model["b"], second, 1)
    (finding,) = found
    assert finding.paths == ("b", "b.dropout")
    assert finding.message.startswith("At step 3 of optimizer 1, b is in eval mode")


def test_what_is_thawed_and_in_no_optimizer() -> None:
    model = Net()
    model.backbone.requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad])
    with collected(model, optimizer) as found:
        train(model, optimizer, before=lambda number: model.backbone.requires_grad_(True) if number == 9 else None)
    (finding,) = found
    assert finding.code == "PS725"
    assert finding.paths == tuple(f"backbone.{at}.{name}" for at in (0, 2) for name in ("weight", "bias"))
    assert finding.message.startswith("At step 9, backbone.[0,2].weight and backbone.[0,2].bias require grad ")


def test_what_is_frozen_and_moves_on() -> None:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with collected(model, optimizer) as found:
        for number in range(1, 12):
            if number == 6:
                model.backbone.requires_grad_(False)
            optimizer.zero_grad(set_to_none=False)
            loss_of(model).backward()
            optimizer.step()
    (finding,) = found
    assert finding.code == "PS725"
    assert finding.message.startswith(
        "At step 7, the optimizer changed backbone.[0,2].weight and backbone.[0,2].bias, though "
    )


def test_a_gradient_that_is_not_finite_is_named_before_it_is_used() -> None:
    model = Net()
    optimizer = sgd(model)

    def infinite(module: Any, grads: Any) -> Any:
        return (grads[0] * float("inf"),)

    def spoil(number: int) -> None:
        if number == 7:
            model.head.register_full_backward_pre_hook(infinite)

    with (
        pytest.raises(
            FindingsError, match=r"gradients of .* hold NaN or infinity when the optimizer begins step 7"
        ) as raised,
        watch(model, optimizer, steps=True, on_finding="raise"),
    ):
        train(model, optimizer, before=spoil)
    assert raised.value.problem == "1 finding at step 7"
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    assert not optimizer._optimizer_step_pre_hooks


def test_a_weight_that_the_step_makes_infinite() -> None:
    model = Net()
    optimizer = sgd(model)

    def spoil(number: int) -> None:
        if number == 5:
            optimizer.param_groups[0]["lr"] = float("inf")

    with collected(model, optimizer) as found:
        train(model, optimizer, before=spoil)
    (finding,) = found
    assert finding.message.endswith("hold NaN or infinity after step 5.")


def test_one_nan_of_a_large_model_is_met_within_a_few_steps() -> None:
    model: Any = nn.Sequential(*(nn.Linear(1_500, 1_500) for _ in range(4)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with collected(model, optimizer) as found:
        for number in range(1, 9):
            for parameter in model.parameters():
                parameter.grad = torch.zeros_like(parameter)
            if number == 3:
                with torch.no_grad():
                    model[2].weight[7, 7] = float("nan")
            optimizer.step()
    (finding,) = found
    assert finding.paths == ("2.weight",)
    assert int(finding.message.removesuffix(".").rpartition(" ")[2]) in range(3, 7)


def test_a_gradient_that_vanishes() -> None:
    model = Net()
    optimizer = sgd(model)

    def cut(number: int) -> None:
        if number == 6:
            model.backbone.register_forward_hook(lambda module, given, result: result.detach())

    with collected(model, optimizer) as found:
        train(model, optimizer, 40, cut)
    (finding,) = found
    assert finding.code == "PS727"
    assert (
        "in each of the first 5 steps and none in the 10 up to step 15, though they still require grad"
        in finding.message
    )


def test_a_warning_is_given_once_and_points_at_the_step() -> None:
    model = Net()
    optimizer = sgd(model)
    with watch(model, optimizer, steps=True), pytest.warns(FindingsWarning, match="PS724 mode-flipped") as caught:
        train(model, optimizer, before=lambda number: model.eval() if number == 4 else None)
    (only,) = caught
    assert only.filename == __file__


@pytest.mark.parametrize(
    ("options", "codes", "is_raised"),
    [
        ({}, ["PS724"], True),
        ({"fail_on": Severity.WARNING, "select": "PS724"}, ["PS724"], True),
        ({"fail_on": "error", "ignore": "PS721,PS722"}, ["PS724"], False),
        ({"ignore": ["mode-flipped"]}, [], False),
        ({"select": ["PS721", "PS722"]}, [], False),
    ],
    ids=str,
)
def test_what_is_asked_and_what_is_raised_for(options: Any, codes: list[str], *, is_raised: bool) -> None:
    model = Net()
    optimizer = sgd(model)
    with watch(model, optimizer, steps=True, on_finding="raise", **options) as watched:
        raises = pytest.raises(FindingsError, match="PS724") if is_raised else nullcontext()
        with raises:
            train(model, optimizer, before=lambda number: model.eval() if number == 4 else None)
    assert [each.code for each in watched.findings] == codes
    with pytest.raises(RuleError, match="there is no rule 'PS999'"):
        watch(model, optimizer, steps=True, ignore="PS999")
    with pytest.raises(ValueError, match="'fatal' is no severity"):
        watch(model, optimizer, steps=True, fail_on="fatal")


def test_rules_of_loops_are_known_and_no_check_runs_them() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout())
    optimizer = sgd(model)
    report = audit(model, optimizer=optimizer)
    assert not {each.code for each in report.skipped} & {each.rule.code for each in RULES}
    assert "PS724" not in str(report.render("sarif"))
    alone = judge(report.snapshot, rules=RULES)
    assert alone.findings == ()
    assert {each.reason for each in alone.skipped} == {"it judges a training loop, while `paramscope.watch` looks on"}
    with watch(model, optimizer, steps=True, on_finding="collect") as watched:
        train(model, optimizer, before=lambda number: model.eval() if number == 4 else None)
    assert '"PS724"' in str(watched.report.render("sarif"))
    assert "PS724" in str(watched.report.render("junit"))


def test_values_that_are_not_finite_are_named_at_once_and_all() -> None:
    """More of them than are looked at in one step: where one is found, all are looked at."""
    model = nn.Sequential(*(nn.Linear(1_500, 1_500) for _ in range(6)))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with watch(model, optimizer, steps=True, on_finding="collect") as watched:
        for step in range(6):
            optimizer.zero_grad()
            model(torch.full((2, 1_500), math.nan if step == 3 else 1.0)).sum().backward()
            optimizer.step()
    first, second = watched.findings
    assert {first.code, second.code} == {"PS726"}
    assert first.paths == tuple(f"{i}.weight" for i in range(6))
    assert "step 4" in first.message
    assert "step 5" in second.message  # the weights are not finite any more


def test_steps_without_any_gradient_are_counted() -> None:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, steps=True, on_finding="collect") as watched:
        assert str(watched) == "0 steps"
        for _ in range(3):
            model(torch.ones(1, 2)).sum().backward()
            optimizer.zero_grad()
            optimizer.step()
    assert str(watched) == "3 steps, 3 of them without any gradient\nno findings"
    assert str(watch(model, optimizer)) == "no marks yet"
