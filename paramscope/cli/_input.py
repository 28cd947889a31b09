"""What commands receive: targets, `--arg`, optimizers."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paramscope.errors import ParamscopeError, TargetError
from paramscope.report.face import Report


class ArgumentError(ParamscopeError):
    """An `--arg` that is not `name=literal`."""


def parse_arguments(given: Sequence[str]) -> dict[str, Any]:
    """`--arg dim=64` as keyword arguments: Python literals only, never evaluated. Raises ArgumentError."""
    found: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise ArgumentError(f"--arg {each!r} is not name=value", "Write --arg dim=64.")
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


def load_report(target: str, optimizers: Sequence[str], given: Sequence[str], *, meta: bool) -> Report:
    """The report on a TARGET: read, where it is a saved one, else built and audited."""
    arguments = parse_arguments(given)
    if target.endswith(".json"):
        if optimizers or arguments or meta:
            raise TargetError(
                f"{target} is a saved report: nothing is built, so -O, --arg and --meta do not apply",
                "Leave them out, or name the code: path/model.py:build.",
            )
        from paramscope.wire.reader import read_report_file

        return read_report_file(Path(target), Report)
    from paramscope.api import audit
    from paramscope.load.target import load_optimizer, load_target

    built = load_target(target, arguments=arguments, meta=meta)
    made = [load_optimizer(each, built.model) for each in optimizers]
    return audit(built.model, optimizer=combine(built.optimizer, made), target=target)


def combine(brought: Any, made: Sequence[Any]) -> Any:
    """The optimizer that came with the target and those of -O, as one argument for `audit`."""
    every = ([] if brought is None else [brought]) + list(made)
    return (every[0] if every else None) if len(every) <= 1 else every
