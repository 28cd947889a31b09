"""Facts that few modules and slots have: classes, marks, declared ties, and what was not looked into."""

from __future__ import annotations

from typing import Literal, NamedTuple

NoteKind = Literal[
    "cycle",
    "repeats",
    "aliases",
    "depth",
    "items",
    "uninitialised",
    "overlap",
    "unreadable",
    "packed",
    "name-clash",
    "crashed",
    "values",
]
MarkKind = Literal[
    "odd-attribute",
    "class-shadow",
    "inference",
    "gradient-shape",
    "offloaded",
    "own-forward",
    "recomputed",
    "held-by",
    "object-class",
]


class Note(NamedTuple):
    """Something that capture did not look into, and why."""

    path: str
    kind: NoteKind
    """`cycle`; the bound that was met: `repeats` of shared modules, `aliases` of what is registered, `depth` or
    `items` of containers and objects;
    `uninitialised` for a module whose `__init__` did not call that of `nn.Module`; `overlap` for views whose
    sharing was not decided; `unreadable` for what cannot be read without running the code of its class; `packed`
    for weights of quantized layers that lie in an object of C++; `name-clash` for a module of whose name there is
    another; `crashed` for what could not be told because our own code failed on it; `values` for tensors whose
    elements were to be read and were not."""
    text: str


class ClassRecord(NamedTuple):
    """One class of the modules that were seen, of the user's own objects that hold tensors or modules, or one that
    these inherit from."""

    type: str
    """Qualified name: `package.module.Outer.Net`; that of a class in a function holds `<locals>`."""
    module: str
    """Name of the Python module that defines it: what `type` starts with."""
    bases: tuple[str, ...]
    """The rest of its MRO as qualified names, nearest first, without `object`."""
    file: str | None
    """Source file; None where no function of the class tells it, and its Python module has none."""
    line: int | None
    """First line of the topmost function in the class body, decorators included: it tells apart classes of one
    name. None without functions."""
    forward: str | None
    """Qualified name of the class whose body defines `forward`."""


class Mark(NamedTuple):
    """Something odd about one module or slot."""

    path: str
    kind: MarkKind
    """`odd-attribute`: an attribute that looks like a misspelled `requires_grad`, or a method put in its place.
    `class-shadow`: a class attribute hides what is registered under its name. `inference`: a tensor made under
    `inference_mode`. `gradient-shape`: a `.grad` of another shape than the tensor. `offloaded`: the module's
    tensors come and go by a hook. `own-forward`: the instance has a `forward` of its own. `recomputed`: a hook
    or a parametrization computes this attribute anew before each forward. `held-by`: what hides a module or a
    Parameter that is not registered, where it lies behind more than containers. `object-class`: a plain object, of
    a class of the user's own, that holds tensors or modules: its class assigns them."""
    name: str
    """The attribute's name; for `recomputed` what does it, such as `weight_norm`; for `held-by` the kind of thing:
    `record` (a dataclass or a SimpleNamespace), `object` or `callable`, of several the last of these; for
    `object-class` `record` or `object`."""
    value: bool | int | float | str | tuple[int, ...] | None
    """What the attribute holds, where that is a plain value; the kind of thing that hides; the gradient's shape; for
    `held-by` and `object-class` the qualified class name of that thing."""


class ValueRecord(NamedTuple):
    """Something odd about the values of one tensor."""

    path: str
    """The first slot that holds it."""
    kind: Literal["nan", "inf", "constant", "equal"]
    """What some of its elements are; `constant` where all are one; `equal` where another one has the same bits."""
    group: int | None
    """Equal numbers are equal tensors; None for the other kinds."""


class DeclaredTie(NamedTuple):
    """Two names that a model says are one tensor."""

    module: str
    """Path of the module that says so."""
    source: Literal["instance", "class"]
    """Whether the instance's `all_tied_weights_keys` or the class's `_tied_weights_keys` says it."""
    names: tuple[str, str]
    """The two names as declared, below the module; those of a class are patterns."""
    pairs: tuple[tuple[str, str], ...]
    """Paths of the slots that these names stand for today, wrappers looked through."""
    undecided: str | None
    """Why it cannot be told whether the tie is meant to hold."""
