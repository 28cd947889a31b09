"""`--arg` → who gets it: the target, what makes its optimizers, or both."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from paramscope import text
from paramscope.errors import TargetError, nearest


class Callee(NamedTuple):
    """Something that a TARGET names, and that is to be called."""

    target: str
    thing: Any
    given: int = 0
    """How many arguments it is given by position: what makes an optimizer is given the model."""


def shared_out(arguments: Mapping[str, Any], callees: Sequence[Callee]) -> list[dict[str, Any]]:
    """What each of several is to be called with: an argument goes to all that name it, or, where none does, to all
    that take any. Raises TargetError for one that none takes."""
    shares: list[dict[str, Any]] = [{} for _ in callees]
    for name, value in arguments.items():
        naming = [name in _names(each) for each in callees]
        takers = naming if any(naming) else [_takes_any(each) for each in callees]
        if not any(takers):
            _refuse(name, callees)
        for share, takes in zip(shares, takers, strict=True):
            if takes:
                share[name] = value
    return shares


def first_parameter(function: Callable[..., Any]) -> inspect.Parameter | None:
    """What the first argument by position is given to; None where that is nothing, or not known."""
    signature = _signature(function)
    return None if signature is None else next(iter(signature.parameters.values()), None)


def check_complete(callee: Callee, arguments: Mapping[str, Any], note: str = "") -> None:
    """Raises TargetError where a call with these arguments lacks one. note: what its advice begins with."""
    if missing := [name for name in required(callee) if name not in arguments]:
        flags = " ".join(f"--arg {name}=…" for name in missing)
        raise TargetError(f"{callee.target} needs {', '.join(missing)}", f"{note}Pass a value for each: {flags}")


def required(callee: Callee) -> list[str]:
    """The arguments that a call cannot do without."""
    return [
        each.name
        for each in _parameters(callee)
        if each.default is each.empty and each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
    ]


def _refuse(name: str, callees: Sequence[Callee]) -> None:
    near = nearest(name, [known for each in callees for known in _names(each)], n=1)
    meant = f"Did you mean {near[0]}?" if near else ""
    if len(callees) == 1:
        (callee,) = callees
        if not callable(callee.thing) or _is_built(callee.thing):
            raise TargetError(f"{callee.target} is already a module, so it takes no --arg", "Leave --arg out.")
        takes = f"It takes: {', '.join(_names(callee)) or 'nothing'}."
        raise TargetError(f"{callee.target} takes no argument {name!r}", meant or takes)
    takes = text.listed([f"{each.target}{_signature_text(each)}" for each in callees])
    raise TargetError(
        f"neither the target nor what -O names takes an argument {name!r}",
        f"{meant} The signatures are {takes}.".lstrip(),
    )


def _signature_text(callee: Callee) -> str:
    if _is_built(callee.thing):
        return " (already built)"
    names = [each.name for each in _parameters(callee, with_given=True)]
    return f"({', '.join(names)})"


def _is_built(thing: Any) -> bool:
    """Whether it is a module, or anything else that is not called."""
    from paramscope.capture import is_module

    return is_module(thing) or not callable(thing)


def _names(callee: Callee) -> list[str]:
    """What it can be given by name."""
    return [each.name for each in _parameters(callee) if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]


def _takes_any(callee: Callee) -> bool:
    """Whether it has `**kwargs`, or says nothing of what it takes: the call itself will."""
    if _is_built(callee.thing):
        return False
    return _signature(callee.thing) is None or any(each.kind is each.VAR_KEYWORD for each in _parameters(callee))


def _parameters(callee: Callee, *, with_given: bool = False) -> list[inspect.Parameter]:
    signature = None if _is_built(callee.thing) else _signature(callee.thing)
    every = [] if signature is None else list(signature.parameters.values())
    by_position = [each for each in every if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    given = () if with_given else by_position[: callee.given]
    return [each for each in every if each not in given]


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # a callable that does not say what it takes
        return None
