"""`[tool.paramscope.models.NAME]` → a model that a project declares: how it is built and run, and what it must be."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from paramscope.config.ignores import KEYS as IGNORE_KEYS
from paramscope.config.ignores import DeclaredIgnore, to_ignores
from paramscope.config.places import Place
from paramscope.config.values import ConfigError, check_keys, check_word, to_texts

KEYS = (
    "target", "optimizer", "args", "meta", "inputs", "input-size", "loss", "run", "trainable", "parameters", "ties",
    "select", "ignore",
)  # fmt: skip
RUNS = ("graph", "backward", "step")
MODEL_EXAMPLE = '[tool.paramscope.models.gpt2] target = "model.py:build"'
_RANGE = "[290_000, 300_000]"

Count = int | range


class DeclaredModel(NamedTuple):
    """What a project declares of one of its models. Paths start from the folder of its pyproject.toml."""

    name: str
    at: Place
    target: str
    optimizers: tuple[str, ...] = ()
    """TARGETs of what makes an optimizer."""
    arguments: tuple[tuple[str, Any], ...] = ()
    """Keyword arguments for the target and for these."""
    meta: bool = False
    """Whether it is built on the meta device."""
    inputs: str | None = None
    """TARGET of what forward is given."""
    sizes: str | None = None
    """Sizes of what forward is given."""
    loss: str | None = None
    """TARGET of a function that makes a scalar of the output."""
    run: str | None = None
    """Of RUNS; None for nothing, or, where there are inputs, for `graph`."""
    trainable: Count | tuple[str, ...] | None = None
    """How many elements train; or globs of the parameters that do, which no others do."""
    parameters: Count | None = None
    """How many elements there are, each tensor counted once."""
    ties: tuple[frozenset[str], ...] | None = None
    """Paths of parameters that are one tensor; no others are tied."""
    select: tuple[str, ...] = ()
    """Codes, beginnings of codes, or names, in place of the project's; those where there are none."""
    ignore: tuple[DeclaredIgnore, ...] = ()
    """Beside the project's, for this model alone."""

    @property
    def is_expected(self) -> bool:
        """Whether anything is said of what it must be."""
        return any(each is not None for each in (self.trainable, self.parameters, self.ties))


def to_models(value: Any, at: Place) -> tuple[DeclaredModel, ...]:
    """Raises ConfigError."""
    if type(value) is not dict or not all(type(each) is dict for each in value.values()):
        wrong = at if type(value) is not dict else next(at.of(key) for key in value if type(value[key]) is not dict)
        raise ConfigError(f"{wrong}: {wrong.name} is not a table", f"Write {MODEL_EXAMPLE}")
    return tuple(_model(name, table, at.of(name)) for name, table in value.items())


def _model(name: str, table: dict[str, Any], at: Place) -> DeclaredModel:
    if not name.strip() or not name.isprintable() or any(each in name for each in ":*?,[]"):
        raise ConfigError(
            f"{at}: {name!r} cannot be the name of a model",
            "A name is printable and has none of : * ? , [ ], which targets and globs are made of.",
        )
    check_keys(table, KEYS, at)
    if "target" not in table:
        raise ConfigError(f"{at}: {at.name} has no target", f"Say what builds it: {MODEL_EXAMPLE}")

    def of(key: str, read: Callable[[Any, Place], _Read]) -> _Read | None:
        return read(table[key], at.of(key)) if key in table else None

    inputs, sizes, run = of("inputs", _text), of("input-size", _text), of("run", _run)
    if inputs is not None and sizes is not None:
        where = at.of("input-size")
        raise ConfigError(f"{where}: inputs and input-size both say what forward is given", "Leave one of them out.")
    if run is not None and inputs is None and sizes is None:
        raise ConfigError(
            f"{at.of('run')}: {at.of('run').name} says that it is run, and not on what",
            'Add inputs = "data.py:batch", or input-size = "1,3,224,224".',
        )
    keys = [key for key in IGNORE_KEYS if key != "target"]
    ignores = to_ignores(table.get("ignore", []), at.of("ignore"), keys=keys)
    return DeclaredModel(
        name,
        at,
        _text(table["target"], at.of("target")),
        of("optimizer", to_texts) or (),
        of("args", _arguments) or (),
        of("meta", _switch) or False,
        inputs,
        sizes,
        of("loss", _text),
        run,
        of("trainable", _trainable),
        of("parameters", _parameters),
        of("ties", _ties),
        of("select", to_texts) or (),
        tuple(each._replace(targets=(name,)) for each in ignores),
    )


_Read = TypeVar("_Read")


def _text(value: Any, at: Place) -> str:
    if type(value) is not str or not value.strip():
        raise ConfigError(f"{at}: {at.name} is no text", f'Write {at.keys[-1]} = "{_TEXTS[str(at.keys[-1])]}"')
    return value.strip()


_TEXTS = {"target": "model.py:build", "inputs": "data.py:batch", "input-size": "1,3,224,224", "loss": "train.py:loss"}


def _run(value: Any, at: Place) -> str:
    check_word(value, RUNS, at)
    return str(value)


def _switch(value: Any, at: Place) -> bool:
    if type(value) is not bool:
        raise ConfigError(f"{at}: {at.name} is neither true nor false", f"Write {at.keys[-1]} = true")
    return value


def _arguments(value: Any, at: Place) -> tuple[tuple[str, Any], ...]:
    if type(value) is not dict:
        raise ConfigError(f"{at}: {at.name} is not a table", "Write args = { dim = 64 }")
    for name in value:
        if not name.isidentifier():
            raise ConfigError(f"{at.of(name)}: {name!r} names no argument", "Write args = { dim = 64 }")
    return tuple(value.items())


def _trainable(value: Any, at: Place) -> Count | tuple[str, ...]:
    if type(value) is str and re.fullmatch(r"[\d_,.\s–-]*\d[\d_,.\s–-]*", value):
        raise ConfigError(f"{at}: {at.name} is the text {value!r}, not a number", f"Write trainable = {_RANGE}")
    if type(value) is str or (type(value) is list and not any(type(each) is int for each in value)):
        try:
            return to_texts(value, at)
        except ConfigError as error:
            raise ConfigError(error.problem, 'Write trainable = ["*.lora_*"], globs of what trains.') from None
    return _count(value, at, ' Or globs of what trains: ["*.lora_*"].')


def _parameters(value: Any, at: Place) -> Count:
    return _count(value, at)


def _count(value: Any, at: Place, more: str = "") -> Count:
    """A number of elements, or the least and the most that there may be."""
    key = at.keys[-1]
    ends = value if type(value) is list else [value]
    if not all(type(each) is int and each >= 0 for each in ends) or len(ends) != 1 + (type(value) is list):
        raise ConfigError(
            f"{at}: {at.name} is neither a number of elements nor the two ends of a range",
            f"Write {key} = 294_912, or {key} = {_RANGE}.{more}",
        )
    if ends[0] > ends[-1]:
        raise ConfigError(f"{at}: {at.name} allows no number at all", f"Write {key} = [{ends[-1]:_}, {ends[0]:_}]")
    return range(ends[0], ends[1] + 1) if type(value) is list else ends[0]


def _ties(value: Any, at: Place) -> tuple[frozenset[str], ...]:
    advice = 'Write ties = [["lm_head.weight", "wte.weight"]], or ties = [] for none.'
    if type(value) is not list:
        raise ConfigError(f"{at}: {at.name} is not a list of lists of paths", advice)
    for number, group in enumerate(value):
        where = at.of(number)
        if type(group) is not list or not all(type(path) is str and path for path in group):
            raise ConfigError(f"{where}: {where.name} is not a list of paths", advice)
        if len(set(group)) < 2:
            raise ConfigError(f"{where}: {where.name} names {group!r}, and one slot alone is not tied", advice)
    return tuple(map(frozenset, value))
