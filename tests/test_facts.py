"""Facts for rules: odd attributes, class-level shadows, inference tensors, stale gradients, declared ties, classes."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import pytest
import torch
from torch import nn
from torch.nn.utils import prune, spectral_norm, weight_norm

from paramscope import Report, audit, capture
from paramscope.snapshot import DeclaredTie, Oddity


def marks(model: nn.Module) -> list[tuple[str, str, str, Any]]:
    """Every mark; the report survives JSON."""
    report = audit(model)
    assert Report.from_json(report.to_json()) == report
    assert capture(model) == report.snapshot
    return [(mark.path, mark.kind, mark.name, mark.value) for mark in report.snapshot.oddities]


MISSPELLED = [
    "require_grad",
    "required_grad",
    "requires_gradient",
    "require_gradient",
    "requiresgrad",
    "requiers_grad",
    "requires_grads",
]


@pytest.mark.parametrize("name", MISSPELLED)
def test_a_misspelled_requires_grad(name: str) -> None:
    model = nn.Sequential(nn.Linear(1, 1))
    setattr(model[0].weight, name, False)
    setattr(model[0], name, False)
    assert marks(model) == [("0", "odd-attribute", name, False), ("0.weight", "odd-attribute", name, False)]


def test_requires_grad_on_a_module_and_its_method_replaced() -> None:
    model: Any = nn.Sequential(nn.Linear(1, 1))
    model.requires_grad = False
    model[0].requires_grad_ = False
    model[0].bias.requires_grad_ = False
    assert marks(model) == [
        ("", "odd-attribute", "requires_grad", False),
        ("0", "odd-attribute", "requires_grad_", False),
        ("0.bias", "odd-attribute", "requires_grad_", False),
    ]


class Switch(nn.Module):
    """Its class knows the attribute."""

    requires_grad = True


def test_what_is_spelled_right_or_meant_otherwise() -> None:
    model: Any = nn.Sequential(nn.Linear(1, 1), Switch())
    model[1].requires_grad = False
    model[0].weight.requires_grad = False
    model[0].weight._requires_grad = True
    model[0].require_backward_grad_sync = True
    model[0].weight.my_own_mark = 3
    assert marks(model) == []


def test_looking_for_attributes_leaves_none() -> None:
    model = nn.Linear(2, 2)
    size = sys.getsizeof(model.weight)
    audit(model)
    # A tensor without attributes has no dict; to ask for it would have made one.
    import gc

    assert [each for each in gc.get_referents(model.weight) if isinstance(each, dict)] == []
    assert sys.getsizeof(model.weight) == size


class Shadowed(nn.Module):
    """Three class attributes that hide what is registered."""

    enc = None
    weight: nn.Parameter | None = None
    table = torch.zeros(3)
    head = nn.Linear(1, 1)
    free = None

    def __init__(self) -> None:
        super().__init__()
        self.enc = nn.Linear(1, 1)
        self._parameters["weight"] = nn.Parameter(torch.zeros(2))
        self._buffers["table"] = torch.zeros(4)
        self._modules["head"] = None


def test_class_attributes_that_hide_what_is_registered() -> None:
    model = nn.Sequential(Shadowed())
    assert model[0].enc is None
    assert [mark for mark in marks(model) if mark[1] == "class-shadow"] == [
        ("0", "class-shadow", "enc", "None"),
        ("0", "class-shadow", "weight", "None"),
        ("0", "class-shadow", "table", "tensor"),
        ("0", "class-shadow", "head", "module"),
    ]


class Nearer(Shadowed):
    """A property stands nearer, and is meant to."""

    @property
    def enc(self) -> Any:
        """The encoder."""
        return self._modules["enc"]

    @enc.setter
    def enc(self, value: Any) -> None:
        self._modules["enc"] = value

    weight: nn.Parameter


def test_properties_and_annotations_hide_nothing() -> None:
    assert [mark.name for mark in audit(Nearer()).snapshot.oddities if mark.kind == "class-shadow"] == [
        "weight",
        "table",
        "head",
    ]


def test_inference_tensors() -> None:
    with torch.inference_mode():
        made = nn.BatchNorm1d(2)
    model = nn.Sequential(made, nn.Linear(2, 2))
    assert marks(model) == [
        (f"0.{name}", "inference", "", None)
        for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    ]


def test_a_gradient_of_another_shape() -> None:
    model = nn.Linear(3, 2)
    model(torch.zeros(1, 3)).sum().backward()
    assert marks(model) == []
    model.weight.data = torch.zeros(5, 3)
    assert marks(model) == [
        ("weight", "gradient-shape", "grad", (2, 3)),
        ("weight", "gradient-bytes", "float32", 24),
    ]


def test_buffers_that_learn() -> None:
    model: Any = nn.Module()
    model.register_buffer("leaf", torch.zeros(2, requires_grad=True))
    model.register_buffer("parameter", nn.Parameter(torch.zeros(2)))
    model.register_buffer("average", model.leaf * 2)
    model.register_buffer("plain", torch.zeros(2))
    slots = audit(model).slots
    assert {name: (s.requires_grad, s.is_leaf, s.is_parameter) for name, s in slots.items()} == {
        "leaf": (True, True, False),
        "parameter": (True, True, True),
        "average": (True, False, False),
        "plain": (False, True, False),
    }


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def test_what_a_hook_computes_anew_is_marked() -> None:
    model: Any = nn.Sequential(
        weight_norm(nn.Linear(2, 2)),
        spectral_norm(nn.Linear(2, 2)),
        prune.l1_unstructured(nn.Linear(2, 2), "bias", 1),
    )
    model[0].other = model[0].weight_g * 2
    prune.random_unstructured(model[2], "bias", 1)
    assert marks(model) == [
        ("0.weight", "recomputed", "weight_norm", None),
        ("1.weight", "recomputed", "spectral_norm", None),
        ("2.bias", "recomputed", "pruning", None),
    ]


def test_settings_of_norms_and_embeddings() -> None:
    model = nn.Sequential(
        nn.BatchNorm1d(3, momentum=None), nn.BatchNorm1d(3, momentum=0.0), nn.Embedding(4, 3, 1, 2.0, sparse=True)
    )
    modules = audit(model).modules
    assert dict(modules["0"].settings) == {
        "layer": "torch.nn.modules.batchnorm._NormBase",
        "num_features": 3,
        "momentum": None,
        "track_running_stats": True,
    }
    assert dict(modules["1"].settings)["momentum"] == 0.0
    assert dict(modules["2"].settings) == {
        "layer": "torch.nn.modules.sparse.Embedding",
        "num_embeddings": 4,
        "embedding_dim": 3,
        "padding_idx": 1,
        "max_norm": 2.0,
        "sparse": True,
    }


class Config:
    """A configuration, by its name and its attribute."""

    def __init__(self, **settings: Any) -> None:
        self.__dict__.update(settings)


class Tied(nn.Module):
    """Declares a tie as transformers' models do."""

    _tied_weights_keys: ClassVar[Any] = {"head.weight": "embed.weight"}

    def __init__(self, *, tie: bool = True, **config: Any) -> None:
        super().__init__()
        self.config = Config(**config)
        self.embed = nn.Embedding(4, 3)
        self.head = nn.Linear(3, 4, bias=False)
        if tie:
            self.head.weight = self.embed.weight


def ties(model: nn.Module) -> tuple[DeclaredTie, ...]:
    """What is declared; the report survives JSON."""
    report = audit(model)
    assert Report.from_json(report.to_json()) == report
    return report.snapshot.declared_ties


NAMES, PAIRS = ("head.weight", "embed.weight"), (("m.head.weight", "m.embed.weight"),)


def test_ties_that_a_class_declares_hold_where_the_configuration_says_so() -> None:
    for tie in (True, False):
        model = nn.ModuleDict({"m": Tied(tie=tie, tie_word_embeddings=True)})
        assert ties(model) == (DeclaredTie("m", "class", NAMES, PAIRS, None),)
    assert ties(Tied(tie_word_embeddings=False)) == ()
    assert ties(Tied()) == ()


def test_ties_that_an_instance_declares_go_before_the_class_s() -> None:
    model: Any = Tied(tie_word_embeddings=True)
    model.all_tied_weights_keys = {}
    assert ties(model) == ()
    model.all_tied_weights_keys = {"head.weight": "embed.weight", "head.bias": "embed.weight", 3: "x"}
    assert ties(model) == (
        DeclaredTie("", "instance", NAMES, (("head.weight", "embed.weight"),), None),
        DeclaredTie("", "instance", ("head.bias", "embed.weight"), (), "no two slots have these names"),
    )
    plain: Any = nn.Sequential(nn.Linear(1, 1))
    plain.all_tied_weights_keys = {"0.weight": "0.bias"}
    assert ties(plain)[0].pairs == (("0.weight", "0.bias"),)


class Patterned(Tied):
    """Patterns for several targets."""

    _tied_weights_keys: ClassVar[Any] = {r"heads\.\d+\.weight": "embed", "(": "embed", "none": "embed"}

    def __init__(self) -> None:
        super().__init__(tie_word_embeddings=True)
        self.heads = nn.ModuleList(nn.Linear(3, 4) for _ in range(2))


def test_patterns_stand_for_all_slots_that_they_match() -> None:
    several, broken, nothing = ties(Patterned())
    assert several.pairs == (("heads.0.weight", "embed.weight"), ("heads.1.weight", "embed.weight"))
    for tie in (broken, nothing):
        assert (tie.pairs, tie.undecided) == ((), "no two slots have these names")


class OldStyle(Tied):
    """A list, as transformers 4 has it."""

    _tied_weights_keys: ClassVar[Any] = ["head.weight"]


class Computed(Tied):
    """A property."""

    @property
    def _tied_weights_keys(self) -> Any:
        raise AssertionError("ran")


class ComputedConfig(Config):
    """Its setting is a property."""

    @property
    def tie_word_embeddings(self) -> bool:
        """Never asked."""
        raise AssertionError("ran")


@pytest.mark.parametrize(
    ("cls", "config", "why"),
    [
        (OldStyle, Config, "list"),
        (Computed, Config, "_tied_weights_keys is computed"),
        (Tied, ComputedConfig, "embed"),
    ],
)
def test_what_is_computed_or_says_too_little_is_not_decided(cls: Any, config: Any, why: str) -> None:
    model = cls()
    model.config = config()
    (tie,) = ties(model)
    assert tie.pairs == ()
    assert why in (tie.undecided or "")


def test_names_are_looked_up_through_wrappers() -> None:
    model = Tied(tie_word_embeddings=True)
    wrapper: Any = nn.Module()
    wrapper.original_module = model.head
    wrapper.modules_to_save = nn.ModuleDict({"default": nn.Linear(3, 4, bias=False)})
    model.head = wrapper
    nn.utils.parametrizations.weight_norm(model.embed)
    torch.nn.utils.parametrize.remove_parametrizations(model.embed, "weight")
    torch.nn.utils.parametrize.register_parametrization(model.embed, "weight", nn.Identity())
    assert ties(model)[0].pairs == (
        ("head.modules_to_save.default.weight", "embed.parametrizations.weight.original"),
    )


def test_the_class_table_tells_where_each_class_comes_from() -> None:
    classes = capture(Nearer()).classes
    record = classes[f"{__name__}.Nearer"]
    assert (record.module, record.file) == (__name__, __file__)
    assert record.bases == (f"{__name__}.Shadowed", "torch.nn.modules.module.Module")
    line = record.line or 0
    with open(__file__, encoding="utf-8") as source:
        lines = source.readlines()
    # Its decorator counts.
    assert [lines[line - 1].strip(), lines[line].strip()] == ["@property", "def enc(self) -> Any:"]
    assert classes["torch.nn.modules.linear.Linear"].file == sys.modules["torch.nn.modules.linear"].__file__


def test_a_class_that_was_made_at_run_time_has_no_place() -> None:
    made = type("Made", (nn.Linear,), {"__module__": "nowhere"})
    record = capture(made(1, 1)).classes["nowhere.Made"]
    assert (record.file, record.line, record.forward) == (None, None, "torch.nn.modules.linear.Linear")


def test_a_class_that_is_changed_between_two_audits_is_read_again() -> None:
    class Changing(nn.Linear):
        """Gets a method late."""

    model = Changing(1, 1)
    assert audit(model).slots["weight"].saved is True
    Changing.state_dict = lambda self: {}  # type: ignore[assignment,method-assign]
    assert audit(model).slots["weight"].saved is None
    del Changing.state_dict
    setattr(Changing, "weight", None)  # noqa: B010  # which its type forbids
    assert audit(model).snapshot.oddities == (Oddity("", "class-shadow", "weight", "None"),)
    assert audit(model).slots["weight"].saved is True


def test_classes_are_not_kept_alive() -> None:
    import gc
    import weakref

    def scope() -> weakref.ref[type]:
        class Local(nn.Linear):
            """Goes with its scope."""

        audit(Local(1, 1))
        return weakref.ref(Local)

    reference = scope()
    gc.collect()
    assert reference() is None
