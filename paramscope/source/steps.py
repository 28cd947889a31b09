"""Paths as steps: `layers[0]->cfg.weight` is a name, an item, a member and a name."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from paramscope.source.texts import literal, matches
from paramscope.source.values import Step

_STEP = re.compile(
    r"""(?xs)
    \[ (?P<item> b?'(?:[^'\\]|\\.)*' | b?"(?:[^"\\]|\\.)*" | [^\]]* ) \]
    | \{ (?P<member> \d+ ) \}
    | (?P<mark> -> | :: | \. | ^ ) (?P<name> <[^>]*> | (?: (?!->|::) [^.\[{] )* )
    """
)
DIGITS_BOUND = 18
"""Digits of an index: Python refuses to convert more than 4,300."""
_KINDS: dict[str, Literal["name", "member", "class"]] = {"->": "member", "::": "class"}


class PathStep(NamedTuple):
    """One step of a path."""

    kind: Literal["name", "item", "member", "class"]
    """`.name`, `[key]` or `{index}`, `->name`, `::name`."""
    text: str
    siblings: Callable[[], int] | None = None
    """How many siblings are numbered as it is, where that is known."""


Steps = tuple[PathStep, ...]


def to_steps(text: str) -> Steps:
    """The steps of a path, or of a part of one."""
    steps = []
    for match in _STEP.finditer(text):
        if match["item"] is not None:
            steps.append(PathStep("item", _key(match["item"])))
        elif match["member"] is not None:
            steps.append(PathStep("item", match["member"]))
        else:
            steps.append(PathStep(_KINDS.get(match["mark"], "name"), match["name"]))
    return tuple(steps)


def _key(text: str) -> str:
    """A key without its quotes."""
    if text.startswith(("'", '"')):
        try:
            key = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text
        return key if isinstance(key, str) else text
    return text


def is_numbered(step: PathStep) -> bool:
    """Whether a step may be that into a list."""
    return step.kind in ("name", "item") and step.text.isdecimal() and len(step.text) <= DIGITS_BOUND


def leads_to(written: Step, step: PathStep) -> bool:
    """Whether a step in the code may be this step of a path."""
    if written.is_item and step.kind not in ("name", "item"):
        return False
    if not written.is_item and step.kind == "item":
        return False
    if matches(written.text, step.text):
        return True
    known = literal(written.text)
    # An index from the end.
    if known is None or not known.startswith("-") or not written.is_item or not is_numbered(step):
        return False
    return step.siblings is None or str(int(step.text) - step.siblings()) == known
