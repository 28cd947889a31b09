"""What a TARGET is built with, and how it is run, declared once for all commands that build one."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click

from paramscope.errors import ParamscopeError
from paramscope.load.building import Building


class ArgumentError(ParamscopeError):
    """An `--arg` that is not `name=literal`."""


FLAGS = "-O, --arg, --meta, --ranks, --run, --inputs, --input-size and --loss"
"""The options, as an error names them."""


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
    @click.option("--ranks", is_flag=True, help="Ask all ranks together, under torchrun: docs/ranks.md.")
    @click.option(
        "--input-size",
        "sizes",
        metavar="SIZES",
        help="Run forward on tensors of these sizes: 1,3,224,224; several with spaces; of integers below a bound "
        "1,128:int64:50257; by name input_ids=1,128:int64.",
    )
    @click.option(
        "--inputs",
        metavar="TARGET",
        help="What forward is given (a tuple, a dict, a tensor), a function that makes it, or one that is given the "
        "model and calls it; a name alone is looked up in the target's file.",
    )
    @click.option("--loss", metavar="TARGET", help="A function that makes a scalar of the output, or a list of them.")
    @click.option(
        "--run",
        type=click.Choice(["graph", "backward", "step"]),
        help="What to run: graph (the default, where there are inputs: sizes, operations and what the loss reaches, "
        "without memory), backward, or step, which both put everything back.",
    )
    @wraps(command)
    def with_building(**options: Any) -> Any:
        own = {name: options.pop(name) for name in Building._fields}
        own["arguments"] = parse_arguments(own["arguments"])
        return command(building=Building(**own), **options)

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
