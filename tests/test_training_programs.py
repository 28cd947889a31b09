"""Programs as people write them: two players, targets, teachers and averages, hybrid optimizers, temperatures."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel

from paramscope import audit


def mlp(into: int = 4, out: int = 4) -> nn.Sequential:
    """Two layers and a norm."""
    return nn.Sequential(nn.Linear(into, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, out))


def loud(model: Any, optimizer: Any) -> list[tuple[str, str]]:
    """(code, severity) of what is found at warning or above."""
    findings = audit(model, optimizer=optimizer).findings
    return [(each.code, each.severity.value) for each in findings if each.severity.value != "info"]


def test_two_players() -> None:
    players = {"generator": mlp(), "discriminator": mlp(4, 1)}
    one, two = (torch.optim.Adam(each.parameters(), betas=(0.5, 0.999)) for each in players.values())
    assert loud(players, {"generator": one, "discriminator": two}) == []
    assert loud(players, one) == [("PS401", "error")]


def test_two_ways_of_a_cycle() -> None:
    model = nn.ModuleDict({"G_AB": mlp(), "G_BA": mlp(), "D_A": mlp(4, 1), "D_B": mlp(4, 1)})
    critics = torch.optim.Adam([*model["D_A"].parameters(), *model["D_B"].parameters()])
    both = torch.optim.Adam(itertools.chain(model["G_AB"].parameters(), model["G_BA"].parameters()))
    assert loud(model, [both, critics]) == []
    assert loud(model, [torch.optim.Adam(model["G_AB"].parameters()), critics]) == [("PS401", "error")]


class Q(nn.Module):
    """A value network and its target."""

    def __init__(self) -> None:
        super().__init__()
        self.online = mlp()
        self.target = copy.deepcopy(self.online)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            wanted = self.target(x)
        loss: torch.Tensor = (self.online(x) - wanted - 1).square().mean()
        return loss


@pytest.mark.parametrize("steps", [0, 2])
def test_a_target_network(steps: int) -> None:
    model = Q()
    optimizer = torch.optim.Adam(model.online.parameters())
    before = copy.deepcopy(model.target.state_dict())
    for _ in range(steps):
        model(torch.randn(3, 4)).backward()
        optimizer.step()
    assert all(torch.equal(before[name], value) for name, value in model.target.state_dict().items())
    assert loud(model, optimizer) == [("PS401", "warning")]
    (finding,) = (each for each in audit(model, optimizer=optimizer).findings if each.code == "PS401")
    assert "freeze it" in finding.help
    assert "add_param_group" not in finding.help
    model.target.requires_grad_(False)
    assert loud(model, optimizer) == []


def test_online_and_target_encoders_with_a_predictor() -> None:
    model = nn.ModuleDict({"online_encoder": mlp(), "predictor": mlp(4, 4)})
    model["target_encoder"] = copy.deepcopy(model["online_encoder"])
    trained = [*model["online_encoder"].parameters(), *model["predictor"].parameters()]
    assert loud(model, torch.optim.SGD(trained, lr=0.1)) == [("PS401", "warning")]
    # The predictor is built like both, and no copy.
    assert loud(model, torch.optim.SGD(model["online_encoder"].parameters(), lr=0.1))[0] == ("PS401", "error")


@pytest.mark.parametrize("order", [["student", "teacher"], ["teacher", "student"]])
def test_a_mean_teacher(order: list[str]) -> None:
    student = mlp()
    teacher = copy.deepcopy(student)
    roots: dict[str, nn.Module] = {"student": student, "teacher": teacher}
    model = {name: roots[name] for name in order}
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    assert loud(model, optimizer) == [("PS401", "warning")]
    teacher.eval()
    assert loud(model, optimizer) == []
    teacher.requires_grad_(False)
    assert not any(each.code == "PS401" for each in audit(model, optimizer=optimizer).findings)


@pytest.mark.parametrize("updates", [0, 2])
def test_an_average_of_weights(updates: int) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = SWALR(optimizer, swa_lr=0.05)
    average = AveragedModel(model)
    for _ in range(updates):
        model(torch.randn(3, 4)).sum().backward()
        optimizer.step()
        average.update_parameters(model)
        scheduler.step()
    for roots in ({"model": model, "average": average}, {"average": average, "model": model}):
        report = audit(roots, optimizer=(optimizer, scheduler))
        assert not any(each.code in ("PS401", "PS402", "PS404") for each in report.findings)


def test_an_average_that_is_trained_itself_is_looked_at() -> None:
    average: Any = AveragedModel(mlp())
    optimizer = torch.optim.SGD(average.module[0].parameters(), lr=0.1)
    assert loud(average, optimizer) == [("PS401", "error")]


def test_a_temperature_beside_actor_and_critics() -> None:
    agent = nn.ModuleDict({"actor": mlp(4, 2), "critic1": mlp(4, 1), "critic2": mlp(4, 1)})
    log_alpha = torch.zeros(1, requires_grad=True)
    critics = [*agent["critic1"].parameters(), *agent["critic2"].parameters()]
    optimizers = [torch.optim.Adam(each) for each in (agent["actor"].parameters(), critics, [log_alpha])]
    assert loud(agent, optimizers) == []
    agent["extra"] = nn.Linear(4, 4)
    assert loud(agent, optimizers) == [("PS401", "error")]


class Sharpness(torch.optim.Optimizer):
    """Perturbs, and steps with a base optimizer over the same groups."""

    def __init__(self, parameters: Any, base: Any, **options: Any) -> None:
        super().__init__(parameters, {"rho": 0.05, **options})
        self.base_optimizer = base(self.param_groups, **options)

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """The second of its two."""
        self.base_optimizer.step()


class Masters(torch.optim.Optimizer):
    """Steps copies in float32 of what it lists."""

    def __init__(self, parameters: Any, base: Any) -> None:
        super().__init__(parameters, {"lr": 0.1})
        masters = [nn.Parameter(p.detach().float()) for group in self.param_groups for p in group["params"]]
        self.optimizer = base(masters, lr=0.1)

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """And brings the results back."""
        self.optimizer.step()


class Both(torch.optim.Optimizer):
    """Steps its own, and lets another optimizer step the rest."""

    def __init__(self, parameters: Any, rest: torch.optim.Optimizer) -> None:
        super().__init__(parameters, {"lr": 0.1})
        self.optimizer = rest

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Both."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data.sub_(parameter.grad, alpha=group["lr"])
        self.optimizer.step()


class Parts(torch.optim.Optimizer):
    """Lists what two optimizers step."""

    def __init__(self, optimizer: torch.optim.Optimizer, muon: torch.optim.Optimizer) -> None:
        self.optimizer, self.muon = optimizer, muon
        self.param_groups = [*optimizer.param_groups, *muon.param_groups]
        self.state: Any = {}
        self.defaults = {}

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Both."""
        self.optimizer.step()
        self.muon.step()


def test_optimizers_within_optimizers() -> None:
    model = mlp()
    sharp = Sharpness(model.parameters(), torch.optim.SGD, lr=0.1)
    assert loud(model, sharp) == []
    assert loud(model, (sharp, torch.optim.lr_scheduler.ConstantLR(sharp.base_optimizer))) == []
    assert loud(model, [sharp, sharp.base_optimizer]) == [("PS404", "warning")]
    both = Both(model[0].parameters(), torch.optim.SGD([*model[1].parameters(), *model[3].parameters()], lr=0.1))
    assert loud(model, both) == []
    assert loud(model, [both, both.optimizer]) == []
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    muon = getattr(torch.optim, "Muon", torch.optim.SGD)  # which came with torch 2.9
    assert loud(model, Parts(torch.optim.AdamW(vectors), muon(matrices, lr=0.1))) == []
    half = mlp().half()
    assert loud(half, Masters(half.parameters(), torch.optim.SGD)) == []


def test_a_group_that_only_the_outer_one_got() -> None:
    model: Any = mlp()
    sharp = Sharpness(model[0].parameters(), torch.optim.SGD, lr=0.1)
    sharp.add_param_group({"params": [*model[1].parameters(), *model[3].parameters()]})
    assert [each["params"] for each in sharp.base_optimizer.param_groups] == [list(model[0].parameters())]
    report = audit(model, optimizer=sharp)
    assert report.slots["3.weight"].stepped is False
    (finding,) = (each for each in report.findings if each.code == "PS401")
    assert "Sharpness lists" in finding.message
    assert finding.severity.value == "error"
    weight = model[3].weight.detach().clone()
    model(torch.ones(1, 4)).sum().backward()
    sharp.step()
    assert torch.equal(weight, model[3].weight), "the optimizer within does not know it"


def test_the_reason_for_what_is_missing_is_given_only_where_it_was_seen() -> None:
    def says(model: nn.Module, optimizer: Any) -> str:
        (finding,) = (each for each in audit(model, optimizer=optimizer).findings if each.code == "PS401")
        return finding.message

    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    optimizer = torch.optim.SGD([*model[0].parameters(), *model[2].parameters()], lr=0.1)
    said = says(model, optimizer)
    assert "gradient" not in said
    assert "perhaps" not in said
    model(torch.ones(1, 4)).sum().backward()
    assert "no step uses" in says(model, optimizer)
    model[1].zero_grad()
    assert "perhaps it was added or thawed since, or forward does not use it" in says(model, optimizer)
    model = mlp()
    assert "filter by dimensions" in says(model, torch.optim.SGD([p for p in model.parameters() if p.ndim > 1]))
    model = nn.Sequential(mlp(), mlp())
    model[1].requires_grad_(requires_grad=False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad])
    model[1].requires_grad_(requires_grad=True)
    assert says(model, optimizer).endswith("They are all that trains in 1.")
    named = nn.ModuleDict({"head": mlp(), "body": nn.ModuleDict({"layer4": nn.Sequential(mlp(), nn.LayerNorm(4))})})
    said = says(named, torch.optim.SGD(named["head"].parameters()))
    assert said.endswith("no step changes what is in no group. They are all that trains in body.")
    networks = {"generator": mlp(), "discriminator": nn.ModuleDict({"net": mlp(), "out": nn.Linear(4, 1)})}
    (finding,) = audit(networks, optimizer=torch.optim.SGD(networks["generator"].parameters())).findings
    assert finding.message.endswith("They are all that trains in discriminator.")
    assert "the optimizer that steps them as well" in finding.help
    of_weights = [p for name, p in model.named_parameters() if "bias" not in name]
    assert "filter leaves out all of that name" in says(model, torch.optim.SGD(of_weights))
