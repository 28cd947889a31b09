"""What is handed over as optimizers: lists, dicts, schedulers, wrappers, and targets that return all of these."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.targets import run
from torch import nn
from torch.optim import lr_scheduler

from paramscope import Report, audit
from paramscope.errors import NotAnOptimizer


def net() -> nn.Sequential:
    """Two layers."""
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


def loud(report: Report) -> list[str]:
    """Codes at warning or above."""
    return [finding.code for finding in report.findings if finding.severity.value != "info"]


class HalfEachEpoch:
    """A user's own scheduler."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.opt = optimizer

    def step(self) -> None:
        """Halves."""
        for group in self.opt.param_groups:
            group["lr"] /= 2


class WarmupLR:
    """One that keeps the groups themselves, too."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer, self.param_groups = optimizer, optimizer.param_groups


def transformers_schedule(optimizer: torch.optim.Optimizer) -> Any:
    """A warm-up of transformers."""
    transformers = pytest.importorskip("transformers")
    return transformers.get_cosine_schedule_with_warmup(optimizer, 2, 10)


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "a lambda": lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.9**epoch),
    "on a plateau": lr_scheduler.ReduceLROnPlateau,
    "one after the other": lambda optimizer: lr_scheduler.SequentialLR(
        optimizer, [lr_scheduler.ConstantLR(optimizer), lr_scheduler.ExponentialLR(optimizer, 0.9)], [2]
    ),
    "chained": lambda optimizer: lr_scheduler.ChainedScheduler([lr_scheduler.ConstantLR(optimizer)]),
    "of an average": lambda optimizer: torch.optim.swa_utils.SWALR(optimizer, swa_lr=0.05),
    "transformers'": transformers_schedule,
    "of one's own": HalfEachEpoch,
    "of one's own, with groups": WarmupLR,
    "in a shell": lambda optimizer: type("Shell", (), {})(),
}


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_a_scheduler_is_no_second_optimizer_and_alone_it_stands_for_its_own(kind: str) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = SCHEDULERS[kind](optimizer)
    if kind == "in a shell":
        scheduler.scheduler = lr_scheduler.ConstantLR(optimizer)
    for handed in (
        scheduler,
        (optimizer, scheduler),
        [scheduler, optimizer],
        ([optimizer], [scheduler]),
        {"optimizer": optimizer, "lr_scheduler": scheduler},
        {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step", "frequency": 1}},
        ([optimizer], [{"scheduler": scheduler, "monitor": "loss", "strict": True, "name": None}]),
        [{"optimizer": optimizer, "frequency": 1, "lr_scheduler": scheduler}],
    ):
        report = audit(model, optimizer=handed)
        (record,) = report.optimizers
        assert record.type == "torch.optim.sgd.SGD"
        assert [name.rpartition(".")[2] for name in record.schedulers] == [type(scheduler).__name__]
        assert loud(report) == []
        assert Report.from_json(report.to_json()) == report


def test_several_optimizers_with_their_schedulers() -> None:
    model = net()
    one, two = (torch.optim.SGD(layer.parameters(), lr=0.1) for layer in model)
    constant = lr_scheduler.ConstantLR
    for handed, names in (
        (([one, two], [constant(one), {"scheduler": constant(two), "interval": "epoch"}]), ["0", "1"]),
        (({"optimizer": one, "frequency": 1}, {"optimizer": two, "lr_scheduler": constant(two)}), ["0", "1"]),
        ({"gen": one, "disc": two, "gen_schedule": constant(one)}, ["gen", "disc"]),
        ({"gen": {"optimizer": one, "lr_scheduler": constant(one)}, "disc": two}, ["gen", "disc"]),
        ([constant(two), one], ["0", "1"]),
        ({"gen": [one, two]}, ["gen", "gen.1"]),
    ):
        report = audit(model, optimizer=handed)
        assert [record.name for record in report.optimizers] == names
        assert loud(report) == []


def test_one_optimizer_twice_is_one_and_two_over_one_model_are_two() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert len(audit(model, optimizer=[optimizer, optimizer]).optimizers) == 1
    assert len(audit(model, optimizer=(optimizer, None)).optimizers) == 1
    other = torch.optim.Adam(model.parameters())
    report = audit(model, optimizer=[optimizer, lr_scheduler.ConstantLR(other)])
    (finding,) = (each for each in report.findings if each.code == "PS404")
    assert finding.severity.value == "warning"
    assert "Optimizers 0 and 1 both hold" in finding.message
    assert "may step" in finding.message


@pytest.mark.parametrize(
    "handed", [[None], {"optimizer": None}, {"optimizer": 3}, [{"lr_scheduler": 3}], ([net()], []), HalfEachEpoch]
)
def test_what_leads_to_no_optimizer_is_refused(handed: Any) -> None:
    with pytest.raises(NotAnOptimizer, match="has no param_groups"):
        audit(net(), optimizer=handed)


@pytest.mark.parametrize("is_list", [True, False])
def test_param_groups_are_to_be_handed_to_an_optimizer_first(is_list: bool) -> None:  # noqa: FBT001  # of the test
    model = net()
    group = {"params": model.parameters(), "lr": 0.1}
    with pytest.raises(NotAnOptimizer, match=r"these are param groups: they have no optimizer yet\nHand them to one"):
        audit(model, optimizer=[group] if is_list else group)
    optimizer = torch.optim.SGD([group])
    assert len(audit(model, optimizer={"params": optimizer}).optimizers) == 1


def test_accelerate_wraps_both() -> None:
    from accelerate import Accelerator

    model = net()
    plain = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer, scheduler = Accelerator(cpu=True).prepare(plain, lr_scheduler.ConstantLR(plain))
    for handed in ((optimizer, scheduler), scheduler, (plain, scheduler), [optimizer, plain]):
        report = audit(model, optimizer=handed)
        assert len(report.optimizers) == 1
        assert loud(report) == []


FILE = """
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

def build():
    return nn.Linear(2, 2)

def with_scheduler(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return optimizer, LambdaLR(optimizer, lambda epoch: 1.0)

def configured(model):
    optimizer, scheduler = with_scheduler(model)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

def lists(model):
    optimizer, scheduler = with_scheduler(model)
    return [optimizer], [scheduler]

def only_scheduler(model):
    return with_scheduler(model)[1]

def three():
    model = build()
    return model, *with_scheduler(model)

def three_with_lists():
    model = build()
    return model, *lists(model)

def three_without():
    model = build()
    return model, with_scheduler(model)[0], None

def plateau():
    model = build()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    return model, (optimizer, ReduceLROnPlateau(optimizer))

def something_else():
    return build(), torch.optim.SGD(build().parameters()), 3
"""


@pytest.mark.parametrize(
    "arguments",
    [
        *([f"train.py:{name}"] for name in ("three", "three_with_lists", "three_without", "plateau")),
        *(
            ["train.py:build", "-O", f"train.py:{name}"]
            for name in ("with_scheduler", "configured", "lists", "only_scheduler")
        ),
    ],
    ids=" ".join,
)
def test_a_target_may_bring_its_scheduler(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(FILE, encoding="utf-8")
    assert run("check", *arguments, "-f", "json") == 0
    report = Report.from_json(capsys.readouterr().out)
    assert [record.type for record in report.optimizers] == ["torch.optim.sgd.SGD"]
    assert report.slots["weight"].stepped


def test_a_target_that_brings_anything_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(FILE, encoding="utf-8")
    assert run("check", "train.py:something_else") == 2
    assert "returned a tuple of 3, not a model" in capsys.readouterr().err
