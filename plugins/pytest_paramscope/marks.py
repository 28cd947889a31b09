"""`@pytest.mark.paramscope(target=…, …)` → what is not as expected of the model that it names."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from paramscope import text
from paramscope.errors import ParamscopeError, nearest
from paramscope.load.target import load_target
from paramscope.testing import ExpectationError, expect
from pytest_paramscope.cache import current_cached_memory
from pytest_paramscope.locking import differences
from pytest_paramscope.randomness import untouched_randomness

OWN = ("target", "optimizer", "args", "meta", "locked")
EXPECTATIONS = tuple(
    name for name, each in inspect.signature(expect).parameters.items() if each.kind is each.KEYWORD_ONLY
)
EXAMPLE = '@pytest.mark.paramscope(target="model.py:build", trainable=294_912)'

OPTIMIZER_ADVICE = 'Name what makes it from the model: optimizer="train.py:make".'


def failures(item: pytest.Item, marks: Iterable[pytest.Mark]) -> list[str]:
    """A message for each mark that does not hold, or that is mistaken."""
    return [message for mark in marks for message in _failures(item, mark)]


def _failures(item: pytest.Item, mark: pytest.Mark) -> Iterator[str]:
    memory = current_cached_memory()
    try:
        _check_usage(mark)
        with untouched_randomness():
            model, optimizer = _build(item, mark)
        expected = {name: value for name, value in mark.kwargs.items() if name not in OWN}
        if expected.get("stepped") is not None and optimizer is None:
            raise ExpectationError("stepped= says what an optimizer steps, and there is none", OPTIMIZER_ADVICE)
        if expected or not mark.kwargs.get("locked"):
            with memory.series(mark.kwargs["target"]) if memory else nullcontext():
                expect(model, optimizer=optimizer, **expected)
        if mark.kwargs.get("locked"):
            target = mark.kwargs["target"]
            found = differences(item, model, target, _base(item, target), mark.kwargs.get("args") or {})
            if found:
                yield "\n".join(found)
    except ParamscopeError as error:
        yield f"@pytest.mark.paramscope: {error}"
    except AssertionError as error:
        yield f"{mark.kwargs['target']}: {error}"


def _build(item: pytest.Item, mark: pytest.Mark) -> tuple[Any, Any]:
    """(model, optimizer) of a mark; the optimizer may come with the model, and is None without one."""
    make = mark.kwargs.get("optimizer")
    built = load_target(
        mark.kwargs["target"],
        () if make is None else (make,),
        arguments=mark.kwargs.get("args"),
        meta=mark.kwargs.get("meta", False),
        base=partial(_base, item),
    )
    return built.model, next(iter(built.made), built.optimizer)


def _check_usage(mark: pytest.Mark) -> None:
    """Raises ExpectationError for a mark that cannot be understood."""
    if mark.args:
        given = ", ".join(map(repr, mark.args))
        raise ExpectationError(f"it takes keywords only, and has {given}", f"Write {EXAMPLE}.")
    known = list(dict.fromkeys([*OWN, *EXPECTATIONS]))
    for name in mark.kwargs:
        if name not in known:
            near = nearest(name, known, n=1)
            advice = f"Did you mean {near[0]}=?" if near else f"It takes {', '.join(known)}."
            raise ExpectationError(f"there is no keyword {name!r}", advice)
    _check_type(mark, "target", str, f"Name what builds the model: {EXAMPLE}.", required=True)
    _check_type(mark, "optimizer", str, OPTIMIZER_ADVICE)
    _check_type(mark, "args", Mapping, "Give arguments by name: args={'dim': 64}.")
    _check_type(mark, "meta", bool, "Write meta=True.")
    _check_type(mark, "locked", bool, "Write locked=True.")


def _check_type(mark: pytest.Mark, name: str, kind: type, advice: str, *, required: bool = False) -> None:
    value = mark.kwargs.get(name)
    if value is None and required:
        raise ExpectationError(f"{name}= is missing", advice)
    if value is not None and not isinstance(value, kind):
        raise ExpectationError(f"{name}= cannot be {text.name(repr(value))}", advice)


def _base(item: pytest.Item, target: str) -> Path:
    """The folder that a target starts from: pytest's root, or the test's own where only that has it."""
    root, own = item.config.rootpath, item.path.parent
    place = target.rpartition(":")[0] or target
    is_file = place.endswith(".py") or "/" in place or "\\" in place
    first = place.partition(".")[0]
    names = (place,) if is_file else (f"{first}.py", f"{first}/__init__.py")
    if any((root / name).is_file() for name in names) or not any((own / name).is_file() for name in names):
        return root
    return own
