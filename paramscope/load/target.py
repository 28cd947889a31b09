"""TARGET → model: `path/model.py:build`, `package.module:attr`, with the optimizer that it brings.

Whatever goes wrong on the way becomes a TargetError that shows the user's own traceback and what to write instead.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from paramscope.errors import TargetError
from paramscope.load.arguments import Callee, check_complete, first_parameter, shared_out
from paramscope.load.blaming import blaming
from paramscope.load.naming import Sought, choices, import_place, resolve, running, split, what
from paramscope.load.optimizer import MAKER, PARAMETERS, load_optimizer


class Target(NamedTuple):
    """What a TARGET turned out to be."""

    model: Any
    """A Module, or a dict of Modules by root name."""
    optimizer: Any
    """What came along with it, as `audit` takes it: an optimizer, several, their schedulers with them, or None."""
    made: tuple[Any, ...] = ()
    """What each TARGET of an optimizer made for it, likewise."""


def import_target(target: str, base: Path) -> None:
    """Imports the module or file of a TARGET, which `load_target` then finds imported. Raises TargetError."""
    import_place(target, split(target)[0], base)


def _in_full(optimizer: str, target: str) -> str:
    """The TARGET of an optimizer: a bare name is one in the model's own file."""
    return f"{split(target)[0]}:{optimizer}" if optimizer.isidentifier() else optimizer


def check_makers(target: str, optimizers: Sequence[str], base: Path) -> None:
    """Raises TargetError where what makes the optimizers of a TARGET cannot be found."""
    for each in optimizers:
        resolve(_in_full(each, target), base, MAKER)


def surroundings(target: str, base: Path) -> AbstractContextManager[None]:
    """Within it, the code of a TARGET finds what it was imported and built with."""
    return running(target, base)


def load_beside(other: str, target: str, base: Path) -> Any:
    """What another TARGET names, such as what makes the inputs of the model of the first; a name alone is one in the
    file of that. Raises TargetError."""
    return resolve(_in_full(other, target), base, _MADE)


_MADE = Sought("what to run it with", "make inputs or a loss", lambda *_: True, "make|inputs|batch|loss|criterion")


def load_target(
    target: str,
    optimizers: Sequence[str] = (),
    *,
    arguments: Mapping[str, Any] | None = None,
    meta: bool = False,
    base: Callable[[str], Path] = lambda _: Path.cwd(),
    within: Callable[..., AbstractContextManager[None]] = lambda *_: contextlib.nullcontext(),
) -> Target:
    """Imports what a TARGET names and builds the model, and then what the TARGETs of optimizers make for it.

    The attribute may be a Module, a Module class, or a callable that returns a Module, a `(model, optimizer)`
    pair, with or without a scheduler behind it, or a dict of roots. What makes an optimizer is called with the model,
    or with its parameters; an optimizer is taken as it is. arguments: by name, for whichever of them takes it. meta:
    build under `torch.device("meta")`, without memory. base: the folder that a TARGET's relative path starts from.
    within: is given what is at work, as a declaration names it, and entered while it is: `target`, `args`, or
    `optimizer` and which of them.

    Raises TargetError.
    """
    with within("target"):
        thing = resolve(target, base(target), BUILDER)
    makers = [_in_full(each, target) for each in optimizers]
    callees = [Callee(target, thing)]
    if arguments:
        callees += [Callee(each, resolve(each, base(each), MAKER), given=1) for each in makers]
    with within("args"):
        own, *others = shared_out(arguments or {}, callees)
    with within("target"):
        built = _built(callees[0], own, base(target), meta=meta)
    made = []
    for at, each in enumerate(makers):
        given = others[at] if others else {}
        with within("optimizer", at):
            made.append(load_optimizer(each, built.model, arguments=given, base=base(each), model_name=target))
    return built._replace(made=tuple(made))


def _is_builder(thing: Any, module: str) -> bool:
    from paramscope.capture import is_module, is_module_class

    if isinstance(thing, type):
        return is_module_class(thing) and thing.__module__ == module
    if is_module(thing) or not callable(thing):
        return is_module(thing)
    first = first_parameter(thing)
    takes_model = first is not None and first.default is first.empty and first.name in _OF_A_MODEL
    return getattr(thing, "__module__", None) == module and not takes_model


_OF_A_MODEL = ("model", "module", "net", "network", *PARAMETERS)
"""What a function calls its first argument that works on a model and builds none: it makes an optimizer, say."""


BUILDER = Sought("what to build", "build a model", _is_builder, "build|make|create|get|model|net")


def _built(callee: Callee, arguments: Mapping[str, Any], base: Path, *, meta: bool) -> Target:
    """The model of a TARGET, and what came along with it."""
    target, thing = callee.target, callee.thing
    with blaming(target, meta=meta), running(target, base):
        from paramscope.capture import Made, is_module, on_meta

        if is_module(thing):
            return Target(thing, None)
        if not callable(thing):
            raise TargetError(
                f"{target} is {what(thing)}, neither a module nor a function that builds one",
                choices(target, base, BUILDER),
            )
        check_complete(callee, arguments)
        with on_meta() if meta else contextlib.nullcontext():
            built = thing(**arguments)
    found = _as_target(target, built, is_module)
    return found if found.optimizer is None else found._replace(optimizer=Made.by(thing, found.optimizer))


def _as_target(target: str, built: Any, is_module: Callable[[object], bool]) -> Target:
    """What a builder returned: a Module, a dict of roots, or either with an optimizer and its scheduler."""
    from paramscope.capture import has_optimizers

    if is_module(built) or _is_roots(built, is_module):
        return Target(built, None)
    parts = list(built) if type(built) in (list, tuple) else []
    if type(built) is tuple and len(built) > 1 and (is_module(built[0]) or _is_roots(built[0], is_module)):
        model, *others = parts
        given = others[0] if len(others) == 1 else others
        if given is None or has_optimizers(given):
            return Target(model, given)
    problem = f"{target} returned {what(built)}, not a model"
    advice = "It has to return an nn.Module, a (model, optimizer) pair, or a dict of modules by name."
    if built is None:
        advice = "Did it forget to return the model?"
    elif sum(map(is_module, parts)) > 1:
        advice = f"Name each module, which is what its paths will begin with: return {_as_dict(parts, is_module)}"
    elif len(parts) == 2 and is_module(parts[0]):
        problem = f"{target} returned {what(parts[0])} and {what(parts[1])}, which is no optimizer"
    raise TargetError(problem, advice)


def _as_dict(parts: list[Any], is_module: Callable[[object], bool]) -> str:
    """Several modules, and what else a builder returned, as it could be written: `{"generator": …, "critic": …}`."""
    names = [type(each).__name__.lower() for each in parts if is_module(each)]
    if len(set(names)) < len(names):
        names = [f"{name}{number}" for number, name in enumerate(names, 1)]
    roots = ", ".join(f'"{name}": …' for name in names)
    return f"{{{roots}}}, [optimizer, …]" if len(names) < len(parts) else f"{{{roots}}}"


def _is_roots(thing: Any, is_module: Callable[[object], bool]) -> bool:
    return isinstance(thing, Mapping) and bool(thing) and all(is_module(root) for root in thing.values())
