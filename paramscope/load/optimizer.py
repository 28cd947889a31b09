"""TARGET of an optimizer → what it makes for a model: `train.py:make`, `torch.optim:SGD`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import isfunction
from pathlib import Path
from typing import Any

from paramscope.errors import TargetError
from paramscope.load.arguments import Callee, check_complete, first_parameter
from paramscope.load.blaming import blaming
from paramscope.load.naming import Sought, resolve, running, what

EXAMPLE = "def make(model): return torch.optim.AdamW(model.parameters(), lr=1e-3)"


def load_optimizer(target: str, model: Any, *, arguments: Mapping[str, Any], base: Path, model_name: str) -> Any:
    """Imports what a TARGET names and calls it with the model; an Optimizer class gets its parameters. An optimizer
    is taken as it is, where it steps a parameter of the model's.

    Returns what `audit` takes: an optimizer, a list of them, or a dict of them by name, schedulers among them, all
    that with the function that made it. arguments: keyword arguments for the call. model_name: what the model is
    called in errors. Raises TargetError.
    """
    thing = resolve(target, base, MAKER)
    with blaming(target, called_with=f"the {type(model).__name__} of {model_name}"), running(target, base):
        from paramscope.capture import Made, are_groups, has_optimizers, is_optimizer_class

        if not callable(thing):
            return _as_it_is(target, thing, model, model_name)
        note = "It is called with one dict, of all modules by name. " if isinstance(model, Mapping) else ""
        check_complete(Callee(target, thing, given=1), arguments, note)
        first = first_parameter(thing)
        takes_parameters = is_optimizer_class(thing) or (first is not None and first.name in PARAMETERS)
        made = thing(_parameters_of(model) if takes_parameters else model, **arguments)
        if are_groups(made):
            raise TargetError(
                f"{target} returned param groups, which have no optimizer yet",
                "Hand them to one, and return that: return torch.optim.AdamW(groups, lr=1e-3)",
            )
        if not has_optimizers(made):
            raise TargetError(
                f"{target} returned {what(made)}, not an optimizer",
                f"It has to return something with param_groups: {EXAMPLE}",
            )
        return Made.by(thing, made)


def _is_maker(thing: Any, module: str) -> bool:
    from paramscope.capture import has_optimizers

    if isfunction(thing):
        first = first_parameter(thing)
        return thing.__module__ == module and first is not None and first.default is first.empty
    return not callable(thing) and has_optimizers(thing)


MAKER = Sought(
    "what makes the optimizer", "make an optimizer", _is_maker, "make|configure|opt|get|create|adam|sgd", given=1
)


def _as_it_is(target: str, thing: Any, model: Any, model_name: str) -> Any:
    """An optimizer that was made on import."""
    from paramscope.capture import capture_snapshot, has_optimizers

    if not has_optimizers(thing):
        raise TargetError(
            f"{target} is {what(thing)}, not a function that makes an optimizer", f"Write one: {EXAMPLE}"
        )
    groups = [group for each in capture_snapshot(model, thing).optimizers for group in each.groups]
    if not any(group.slots for group in groups):
        raise TargetError(
            f"{target} is an optimizer that steps no parameter of {model_name}: it was made for another model object",
            f"Name a function that makes it for the model it is called with: {EXAMPLE}",
        )
    return thing


PARAMETERS = ("params", "parameters", "param_groups")
"""What a function calls its first argument that wants to be given the parameters, and not the model."""


def _parameters_of(model: Any) -> Iterator[Any]:
    """The parameters of a module, or of all roots."""
    return (
        each for root in (model.values() if isinstance(model, Mapping) else [model]) for each in root.parameters()
    )
