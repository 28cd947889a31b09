"""What a TARGET is built with, declared once for all commands that build one: `-O`, `--arg` and `--meta`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

import click

from paramscope.errors import ParamscopeError


class ArgumentError(ParamscopeError):
    """An `--arg` that is not `name=literal`."""


class Building(NamedTuple):
    """The three options, read."""

    optimizers: tuple[str, ...]
    """TARGETs of what makes an optimizer for the model."""
    arguments: dict[str, Any]
    """Keyword arguments for the target and for these."""
    meta: bool
    """Whether it is built on the meta device."""


def building_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options, and hands them over as its keyword `building`. Raises ArgumentError."""

    @click.option(
        "-O",
        "--optimizer",
        "optimizers",
        metavar="TARGET",
        multiple=True,
        help="A function that is called with the model and returns its optimizer, or an Optimizer; a name alone is "
        "looked up in the target's file. May be given several times.",
    )
    @click.option(
        "--arg",
        "arguments",
        metavar="K=V",
        multiple=True,
        help="Keyword argument for the target, or for what -O names, or both: whichever takes it.",
    )
    @click.option("--meta", is_flag=True, help="Build on the meta device, without memory.")
    @wraps(command)
    def with_building(*, optimizers: tuple[str, ...], arguments: tuple[str, ...], meta: bool, **others: Any) -> Any:
        return command(building=Building(optimizers, parse_arguments(arguments), meta), **others)

    return with_building


def parse_arguments(given: Sequence[str]) -> dict[str, Any]:
    """`--arg dim=64` as keyword arguments: Python literals only, never evaluated. Raises ArgumentError."""
    found: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise ArgumentError(
                f"--arg {each!r} is not name=value", f"Write --arg {name if name.isidentifier() else 'dim'}=…"
            )
        if name in found:
            raise ArgumentError(f"--arg {name} was given twice", "Keep one of them.")
        try:
            found[name] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise ArgumentError(
                f"--arg {name}: {value!r} is not a Python literal",
                f"""Text needs quotes that reach paramscope: --arg {name}="'{value}'".""",
            ) from None
    return found
