"""Which objects are looked into, told from their classes: whose they are, what they inherit from, what they are called."""

from __future__ import annotations

import abc
import sys
import types
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributions, nn
from torch.utils import data

from paramscope import Report, audit


def parameter(*sizes: int) -> nn.Parameter:
    """A Parameter."""
    return nn.Parameter(torch.zeros(*sizes or (4,)))


def holding(thing: Any) -> Report:
    """What is said of a module that keeps something."""
    model = nn.Sequential(nn.Linear(1, 1))
    model.held = thing
    report = audit(model)
    assert Report.from_json(report.to_json()) == report
    return report


def held(report: Report) -> list[str]:
    """Paths of what is kept, without its first name."""
    return [path.removeprefix("held") for path in report.slots if path.startswith("held")]


def keeping(name: str, *bases: type) -> Callable[[Any], Any]:
    """Makes instances of a class of the user's that keep one thing."""
    members = {
        "__module__": __name__,
        "__init__": lambda self, part: setattr(self, "part", part),
        "__iter__": lambda self: iter(()),
    }
    return type(name, bases, members)


LOOKED_INTO: dict[str, Callable[[Any], Any]] = {
    "called a config": keeping("NoiseConfig"),
    "called a configuration": keeping("NoiseConfiguration"),
    "called a trainer": keeping("WarmTrainer"),
    "called a logger": keeping("GradientLogger"),
    "called a tokenizer": keeping("SoftTokenizer"),
    "dataset": keeping("Frames", data.Dataset),
    "iterable dataset": keeping("Stream", data.IterableDataset),
    "sampler": keeping("Weighted", data.Sampler),
    "distribution": keeping("Heavy", distributions.Distribution),
    "transform": keeping("Planar", distributions.Transform),
    "abstract class": keeping("Strategy", abc.ABC),
}


@pytest.mark.parametrize("make", LOOKED_INTO.values(), ids=LOOKED_INTO)
def test_a_class_of_the_users_is_looked_into_whatever_it_is_called_or_made_from(make: Callable[[Any], Any]) -> None:
    report = holding(make(parameter()))
    assert held(report) == ["->part"]
    assert report.totals.hidden == 4
    (finding,) = [each for each in report.findings if each.paths == ("held->part",)]
    assert (finding.code, finding.severity.value) == ("PS106", "warning")
    assert held(holding(make(nn.Linear(2, 1)))) == ["->part.weight", "->part.bias"]


def test_a_namespace_of_argparse_is_a_record() -> None:
    report = holding(Namespace(part=parameter(), lr=0.1))
    assert [each.code for each in report.findings] == ["PS102"]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A package as an installer leaves it."""
    file = tmp_path / "site-packages" / "somelib.py"
    file.parent.mkdir()
    file.write_text(
        "class Keeping:\n    def __init__(self, part):\n        self.part = part\n"
        + "".join(f"class {name}(Keeping):\n    pass\n" for name in ("RunConfig", "Trainer", "Logger", "Strategy")),
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(file.parent))
    yield __import__("somelib")
    del sys.modules["somelib"]


@pytest.mark.parametrize("name", ["RunConfig", "Trainer", "Logger"])
def test_a_librarys_class_is_what_it_is_called_and_so_is_what_inherits_from_it(
    name: str, installed: types.ModuleType
) -> None:
    assert held(holding(getattr(installed, name)(parameter()))) == []
    assert held(holding(type("Own", (getattr(installed, name),), {})(parameter()))) == []


def test_a_librarys_class_of_another_name_is_looked_into(installed: types.ModuleType) -> None:
    assert held(holding(installed.Strategy(parameter()))) == ["->part"]
    assert held(holding(type("OwnTrainer", (installed.Strategy,), {"__module__": __name__})(parameter()))) == [
        "->part"
    ]


def test_configs_of_transformers_are_not_looked_into() -> None:
    transformers = pytest.importorskip("transformers")
    own = type("OwnConfig", (transformers.PretrainedConfig,), {"__module__": __name__})
    for config in (transformers.PretrainedConfig, own):
        made = config()
        vars(made)["part"] = parameter()
        assert held(holding(made)) == []


class Samples(data.Dataset[Any]):
    """Many tensors, and what is to be learned among them."""

    def __init__(self, count: int, *learned: Any) -> None:
        self.samples = [torch.zeros(2) for _ in range(count)]
        self.by_name = {"first": self.samples[0], "mean": (torch.zeros(3), [torch.zeros(1)])}
        self.learned = learned


def test_samples_are_no_part_of_a_model() -> None:
    report = holding(Samples(60_000))
    assert held(report) == []
    assert report.findings == ()
    assert report.snapshot.notes == ()


def test_what_is_to_be_learned_is_found_among_samples() -> None:
    report = holding(Samples(30_000, parameter(), torch.zeros(2, requires_grad=True), nn.Linear(2, 1)))
    assert sorted(held(report)) == ["->learned[0]", "->learned[1]", "->learned[2].bias", "->learned[2].weight"]


def test_a_module_among_samples_shows_all_its_tensors() -> None:
    assert held(holding(Samples(3, nn.BatchNorm1d(2)))) == [
        f"->learned[0].{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    ]


def ones(*sizes: int) -> torch.Tensor:
    """Ones."""
    return torch.ones(*sizes)


BUILT: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "the Parameter itself": (lambda: distributions.Normal(parameter(2), ones(2)), ["->loc"]),
    "a view of it": (lambda: distributions.Normal(parameter(2), ones(3, 2)), ["->loc"]),
    "computed from it": (lambda: distributions.Categorical(logits=parameter(3)), ["->logits"]),
    "computed by a chain": (
        lambda: distributions.MultivariateNormal(ones(2), scale_tril=torch.diag_embed(parameter(2).exp())),
        ["->scale_tril"],
    ),
    "computed from two": (
        lambda: distributions.Bernoulli(logits=parameter(2) * parameter(2)),
        ["->logits{0}", "->logits{1}"],
    ),
    "within another": (
        lambda: distributions.Independent(distributions.Laplace(parameter(2), parameter(2).exp()), 1),
        ["->base_dist->loc", "->base_dist->scale"],
    ),
    "a transform": (
        lambda: distributions.TransformedDistribution(
            distributions.Normal(ones(2), ones(2)), [distributions.AffineTransform(parameter(2), ones(2))]
        ),
        ["->transforms[0]->loc"],
    ),
}


@pytest.mark.parametrize(("build", "paths"), BUILT.values(), ids=BUILT)
def test_a_distribution_shows_the_parameters_that_it_was_built_from(
    build: Callable[[], Any], paths: list[str]
) -> None:
    report = holding([build()])
    hidden = [path for path in report.slots if report.slots[path].status == "hidden"]
    assert hidden == [f"held[0]{path}" for path in paths]
    assert report.totals.hidden == sum(report.slots[path].numel or 0 for path in hidden)
    (finding,) = [each for each in report.findings if each.severity.value != "info"]
    assert (finding.code, set(finding.paths)) == ("PS106", set(hidden))


class Policy(nn.Module):
    """It keeps the distribution of its last actions."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(2, 2)
        self.log_scale = parameter(2)
        self.head = Head()
        self.dist: Any = None

    def act(self, x: torch.Tensor) -> torch.Tensor:
        """As reinforcement learning does."""
        self.dist = distributions.Normal(self.net(x), self.log_scale.exp())
        self.head.propose(self.net(x))
        return self.dist.log_prob(x).sum() + self.head.dist.log_prob(torch.tensor(1)).sum()


class Head:
    """A plain object that keeps a distribution, too."""

    def __init__(self) -> None:
        self.dist: Any = None

    def propose(self, logits: torch.Tensor) -> None:
        """Made anew each time."""
        self.dist = distributions.Categorical(logits=logits)


def test_a_distribution_over_what_the_model_computed_is_no_warning() -> None:
    policy = Policy()
    for _ in range(2):
        policy.act(torch.ones(1, 2)).backward()
        report = audit(policy)
        assert {each.severity.value for each in report.findings} == {"info"}, report.findings
        assert report.totals.hidden == 0


class Prior(nn.Module):
    """A distribution that is built once over what is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.loc, self.log_scale = parameter(2), parameter(2)
        self.prior = distributions.Normal(self.loc, self.log_scale.exp())


def test_what_a_distribution_computed_once_from_what_is_trained_is_stale() -> None:
    (finding,) = [each for each in audit(Prior()).findings if each.severity.value != "info"]
    assert (finding.code, finding.paths) == ("PS109", ("prior->scale",))


class Doubling(torch.autograd.Function):
    """A step of the user's own in a graph."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Doubles."""
        return x * 2

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        """Doubles as well."""
        return grad * 2


def test_no_code_of_the_users_runs_when_a_graph_is_looked_at() -> None:
    y = Doubling.apply(parameter(2))
    for name in ("variable", "next_functions", "__hash__", "__eq__", "__getattr__"):
        setattr(type(y.grad_fn), name, property(lambda self: pytest.fail("user code ran")))
    assert held(holding(distributions.Bernoulli(logits=y))) == ["->logits"]
