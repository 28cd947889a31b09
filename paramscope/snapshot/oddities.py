"""Facts that few modules and slots have: classes, oddities, what is declared, and what was not looked into."""

# NOTE: annotations are evaluated here: typing would compile the text of each, in ten times the time.
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
    "overridden",
]
OddityKind = Literal[
    "odd-attribute",
    "class-shadow",
    "inference",
    "gradient-shape",
    "gradient-bytes",
    "offloaded",
    "own-forward",
    "recomputed",
    "held-by",
    "held-from-above",
    "not-copied",
    "cut-view",
    "quantized",
    "saved-once",
    "adapter",
    "adapter-tables",
    "merged-adapter",
    "object-class",
    "unit",
    "unheard",
    "uncut",
]


class Note(NamedTuple):
    """Something that capture did not look into, and why."""

    path: str
    kind: NoteKind
    """`cycle`; the bound that was met: `repeats` of shared modules, `aliases` of what is registered, `depth` or
    `items` of containers and objects;
    `uninitialised` for a module whose `__init__` did not call that of `nn.Module`; `overlap` for views whose
    sharing was not decided; `unreadable` for what cannot be read without running the code of its class; `packed`
    for weights of quantized layers that lie in an object of C++, or hold several elements in one that are not
    counted; `name-clash` for a module of whose name there is another; `crashed` for what could not be told because
    our own code failed on it; `values` for tensors whose elements were to be read and were not;
    `overridden` for classes whose `parameters()` may hand out something else than what is registered."""
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


class Oddity(NamedTuple):
    """Something odd about one module or slot; what `name` and `value` hold is said with each kind.

    - `odd-attribute`: an attribute that looks like a misspelled `requires_grad`, or a method put in its place; its
      name, and what it holds where that is a plain value.
    - `class-shadow`: a class attribute hides what is registered under its name; that name, and what hides it.
    - `inference`: a tensor made under `inference_mode`.
    - `gradient-shape`: a `.grad` of another shape than the tensor; `grad`, and that shape.
    - `gradient-bytes`: a `.grad` of another dtype or of other bytes than the tensor; its dtype, and its bytes.
    - `offloaded`: the module's tensors come and go by a hook; where the hook is kept.
    - `own-forward`: the instance has a `forward` of its own.
    - `recomputed`: a hook or a parametrization computes this attribute anew before each forward; what does, such as
      `weight_norm`.
    - `held-by`: what hides a module, or a tensor that is a Parameter or requires grad, and is not registered, where
      it lies behind more than containers; `record` (a dataclass or a SimpleNamespace), `object` or `callable`, of
      several the last of these, and its qualified class name.
    - `held-from-above`: of a thing held by an object, that the object holds the very module that holds it, or one
      above.
    - `not-copied`: a tensor with a graph, or a module, of which a class on the way to it, or its own, says itself
      what `copy.deepcopy` takes.
    - `cut-view`: a leaf that requires grad, and yet a view, taken under `no_grad`, of what has gradients: no backward
      reaches it.
    - `quantized`: a weight that holds several elements in one, or integers that stand for floats; what tells it, such
      as `quant_state`, and the shape that is stood for.
    - `saved-once`: a name of the state that transformers' `save_pretrained` leaves out where another one has its
      memory, by what the class of the module says; the pattern of the names, below the module, and whether the name
      is left out in any case.
    - `adapter`, `adapter-tables`: of a model of peft's, what the file of one of its adapters holds beside the
      adapter; the adapter's name, and which biases are saved (`none`, `all`, `layers`) or which tables of tokens
      (`none`, `targeted`, or `perhaps`).
    - `merged-adapter`: its adapters lie in the base.
    - `object-class`: a plain object, of a class of the user's own, that holds tensors or modules: its class assigns
      them; `record` or `object`, and its qualified class name.
    - `unit`: a module that is trained on several ranks together; `DistributedDataParallel`,
      `FullyShardedDataParallel` or `fully_shard`, and the dimensions of the mesh that it is cut along, with commas
      between them.
    - `unheard`: a trainable slot in DistributedDataParallel whose gradient no reducer hears of; the path of the unit.
    - `uncut`: a parameter of a model with units of FSDP that none of them cuts; the path of the unit that it lies in,
      empty where it lies in none.
    """

    path: str
    kind: OddityKind
    name: str
    value: bool | int | float | str | tuple[int, ...] | None


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


class TpStyle(NamedTuple):
    """What the tensor-parallel plan of a model says of some of its names."""

    module: str
    """Path of the model, below which it holds."""
    pattern: str
    """Of the names; `*` stands for a number."""
    style: str
    """transformers' word for how they are cut, such as `colwise`."""
