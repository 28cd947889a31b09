"""What the command line says of the sizes of forward's inputs → tensors of these sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from paramscope import text
from paramscope.errors import RunError
from paramscope.probe.failing import running

_SPEC = re.compile(
    r"(?:(?P<name>[A-Za-z_]\w*)=)?(?P<sizes>\d+(?:,\d+)*|scalar)(?::(?P<dtype>[a-z]+\w*))?(?::(?P<below>\d+))?"
)
_EXAMPLE = "Write sizes with commas, several inputs with spaces: 1,3,224,224 or input_ids=1,128:int64:50257."
_DTYPES = (
    *("float16", "bfloat16", "float32", "float64", "complex64", "bool"),
    *("int8", "int16", "int32", "int64", "uint8"),
)


class Size(NamedTuple):
    """One tensor that forward is given."""

    name: str | None
    """Of the keyword argument; None for a positional one."""
    sizes: tuple[int, ...]
    dtype: str | None
    """None for that of the model's parameters."""
    below: int | None
    """Of integers: they are below it; None for those that are 0."""


def parse_sizes(text: str, option: str = "--input-size") -> list[Size]:
    """`1,3,224,224`, `1,128:int64:50257`, `input_ids=1,128:int64 attention_mask=1,128:int64`. option: how whoever
    wrote them calls them. Raises RunError."""
    found = [_parse(word, option) for word in text.split()]
    if not found:
        raise RunError(f"{option} is empty", _EXAMPLE)
    names = [each.name for each in found if each.name is not None]
    if len(set(names)) < len(names):
        raise RunError(f"{option} names {max(names, key=names.count)} twice", "Keep one of them.")
    return found


def _parse(word: str, option: str) -> Size:
    match = _SPEC.fullmatch(word)
    if match is None:
        raise RunError(f"{option} {word!r} is no size of a tensor", _EXAMPLE)
    dtype = match["dtype"]
    if dtype is not None and dtype not in _DTYPES:
        raise RunError(f"{option} {word!r}: there is no dtype {dtype!r}", f"Choose from {', '.join(_DTYPES)}.")
    if match["below"] and not (dtype or "").startswith(("int", "uint")):
        raise RunError(f"{option} {word!r}: only integers have a bound", "Write 1,128:int64:50257.")
    sizes = () if match["sizes"] == "scalar" else tuple(map(int, match["sizes"].split(",")))
    return Size(match["name"], sizes, dtype, int(match["below"]) if match["below"] else None)


def maker(sizes: Sequence[Size], model: Any) -> Callable[[], Any]:
    """A function that makes such tensors, each time anew: floats from a normal distribution, on the device of the
    model's parameters; a tuple where none has a name, a dict where all have. Raises RunError for a mixture."""
    named = [each.name is not None for each in sizes]
    if any(named) and not all(named):
        raise RunError("--input-size names some inputs and not others", "Name all of them: input_ids=1,128:int64.")

    def make() -> Any:
        made = [_made(each, model) for each in sizes]
        return dict(zip((each.name for each in sizes), made, strict=True)) if all(named) else tuple(made)

    return make


def _made(size: Size, model: Any) -> Any:
    parameters = model.parameters() if isinstance(model, nn.Module) else iter(())
    like = next((each for each in parameters if each.is_floating_point()), torch.empty(0))
    device = "cpu" if like.is_meta else like.device
    dtype = getattr(torch, size.dtype) if size.dtype else like.dtype
    with running(f"making an input of {text.shape(size.sizes)}"):
        if dtype.is_floating_point or dtype.is_complex:
            return torch.randn(size.sizes, device=device).to(dtype)
        return torch.randint(0, size.below or 1, size.sizes, device=device).to(dtype)
