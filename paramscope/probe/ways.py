"""`inputs` and `loss`, as people hand them over → the call of the model, and a scalar of its output."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from paramscope.errors import RunError
from paramscope.probe.failing import running
from paramscope.probe.measure import described, named_items, tensors_in

_NO_INPUTS = (
    "Hand them over: audit(model, inputs=torch.randn(1, 3, 224, 224)), a tuple, a dict of keyword arguments, or a "
    "function that is given the model and calls it; at the shell, --input-size 1,3,224,224 or --inputs file.py:make."
)


class Called(NamedTuple):
    """A forward that has ended."""

    output: Any
    inputs: str
    """What it was given, in the words of a call."""
    input_bytes: int


class Loss(NamedTuple):
    """What backward starts from."""

    scalars: list[torch.Tensor]
    words: str
    """How it was told: `output.loss`."""
    is_made: bool = False
    """Whether it is no loss of the user's, but the sum of the output."""


def call(model: Any, inputs: Any) -> Called:
    """Runs forward. inputs: positional arguments in a tuple, keyword arguments in a dict, one argument of any other
    kind; a function without arguments that makes these; or a function that is given the model and calls it."""
    inputs = made(model, inputs)
    if is_function(inputs):
        words = f"{_name(inputs)}(model)"
        with running(words):
            return Called(inputs(model), words, 0)
    if not isinstance(model, nn.Module):
        raise RunError(
            "several roots are run by a function that is given them",
            'Hand one over: inputs=lambda roots: roots["critic"](roots["generator"](noise)).',
        )
    nbytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors_in(inputs))
    arguments: tuple[Any, ...] = (inputs,)
    named: Mapping[str, Any] = {}
    if isinstance(inputs, Mapping):
        arguments, named = (), inputs
    elif isinstance(inputs, tuple) and not hasattr(inputs, "_fields"):
        arguments = inputs
    words = ", ".join([*map(described, arguments), *(f"{name}={described(value)}" for name, value in named.items())])
    sizes = ", ".join(map(str, arguments)) if arguments and all(type(each) is int for each in arguments) else ""
    with running(f"model({words})", sizes and f"If these are sizes: inputs=torch.zeros({sizes})."):
        return Called(model(*arguments, **named), words, nbytes)


def made(model: Any, inputs: Any) -> Any:
    """What forward is given; the function that is to call it as it is. Raises RunError where nothing is known."""
    if inputs is None:
        return _of_transformers(model)
    if is_function(inputs) and not _takes_something(inputs):
        with running(f"{_name(inputs)}()"):
            return inputs()
    return inputs


def is_function(inputs: Any) -> bool:
    """Whether inputs are a function, and no argument of forward."""
    return callable(inputs) and not isinstance(inputs, (torch.Tensor, nn.Module))


def loss_of(output: Any, loss: Callable[[Any], Any] | None) -> Loss:
    """The scalars that backward starts from. Raises RunError where there is none."""
    if loss is not None:
        name = _name(loss)
        words = f"{'loss' if name == '<lambda>' else name}(output)"
        with running(words):
            found = loss(output)
        return Loss(_scalars(found, name), words)
    own = dict(named_items(output)).get("loss", getattr(output, "loss", None))
    if isinstance(own, torch.Tensor):
        return Loss(_scalars(own, "output.loss"), "output.loss")
    floating = [each for each in tensors_in(output) if each.is_floating_point() or each.is_complex()]
    if not floating:
        raise RunError(
            f"no loss can be told from the output: it holds no floating-point tensor, but {described(output)}",
            "Say how a scalar is made of it: loss=lambda output: ….",
        )
    if len(floating) == 1 and floating[0].ndim == 0:
        return Loss(floating, "the output")
    sums = [each.abs().sum() if each.is_complex() else each.sum() for each in floating]
    words = "the sum of the output" if len(floating) == 1 else f"the sum of {len(floating)} tensors of the output"
    return Loss([torch.stack([each.double() for each in sums]).sum()], words, is_made=True)


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _scalars(found: Any, name: str) -> list[torch.Tensor]:
    several = list(found) if isinstance(found, (list, tuple)) else [found]
    for each in several:
        if not isinstance(each, torch.Tensor) or each.numel() != 1:
            raise RunError(
                f"{name} gave no scalar but {described(each)}", "Backward starts from one number: return loss.mean()."
            )
    return several


def _takes_something(function: Any) -> bool:
    """Whether a function has to be given something."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(each.kind in positional and each.default is each.empty for each in parameters)


def _of_transformers(model: Any) -> Any:
    """The inputs that a model of transformers' offers. Raises RunError where it offers none."""
    found = getattr(model, "dummy_inputs", None) if isinstance(model, nn.Module) else None
    if not isinstance(found, Mapping):
        raise RunError("it is not known what forward is to be given", _NO_INPUTS)
    return found
