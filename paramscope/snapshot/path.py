"""The grammar of paths: `blocks.0.norm.weight` for what is registered; of what is not, `.` before a name, `->` before
a member of an object, `::` before an attribute of a class, `[key]` for an item and `{0}` for a member of a set."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from paramscope.snapshot.columns import ATTRIBUTE

_STEP = re.compile(
    r"""(?xs)
    \[ (?P<item> b?'(?:[^'\\]|\\.)*' | b?"(?:[^"\\]|\\.)*" | [^\]]* ) \]
    | \{ (?P<member> \d+ ) \}
    | (?P<sign> -> | :: | \. | ^ ) (?P<name> <[^>]*> | (?: (?!->|::) [^.\[{] )* )
    """
)
_KINDS: dict[str, Literal["name", "member", "class"]] = {"->": "member", "::": "class"}
_NUMBER = re.compile(r"\d+")


class PathStep(NamedTuple):
    """One step of a path."""

    kind: Literal["name", "item", "member", "class"]
    """`.name`, `[key]` or `{index}`, `->name`, `::name`."""
    text: str
    siblings: Callable[[], int] | None = None
    """How many siblings are numbered as it is, where that is known."""


Steps = tuple[PathStep, ...]


def join(module: str, name: str) -> str:
    """The path of something that a module holds: a dot before a name, nothing before another step."""
    if not module or name.startswith(("->", "::")):
        return module + name
    return f"{module}.{name}"


def slot_path(module: str, name: str, hold: int) -> str:
    """The path of a slot: what is registered stands behind a dot, whatever its name looks like."""
    if hold == ATTRIBUTE or not module:
        return join(module, name)
    return f"{module}.{name}"


def parent(path: str) -> str:
    """A registered path without its last name: `blocks.0` for `blocks.0.norm`; the root for one name."""
    return path.rpartition(".")[0]


def last_name(path: str) -> str:
    """The last name of a registered path: `norm` for `blocks.0.norm`."""
    return path.rpartition(".")[2]


def is_at_or_below(path: str, module: str) -> bool:
    """Whether a path is that of a registered module, or of something that stands in it behind a dot."""
    return not module or path == module or path.startswith(f"{module}.")


def names_below(path: str, module: str) -> list[str]:
    """The names that lead from a module down to a registered path: `["norm", "weight"]`."""
    rest = path[len(module) :].removeprefix("." if module else "")
    return rest.split(".") if rest else []


def prefixes(path: str, longest: int | None = None) -> Iterator[str]:
    """What a path begins with and might be the path of a module, shortest first, without the path itself.

    longest: characters of the longest one that is of use.
    """
    for end, character in enumerate(path if longest is None else path[: longest + 1]):
        if character in ".[{" or path.startswith(("->", "::"), end):
            yield path[:end]


def numberless(path: str) -> str:
    """A path in which all numbers are one: that of a place among siblings."""
    return _NUMBER.sub("#", path)


def heads(paths: Sequence[str], *, least: int = 1) -> tuple[str, ...]:
    """What is left of paths without the last names that all of them end in: of all that two modules have in common,
    these modules. least: names that are left of each path."""
    steps = [path.split(".") for path in paths]
    same = 0
    while all(len(each) > same + least for each in steps) and len({each[-1 - same] for each in steps}) == 1:
        same += 1
    return tuple(".".join(each[: len(each) - same]) for each in steps)


def to_steps(text: str) -> Steps:
    """The steps of a path, or of a part of one."""
    steps = []
    for match in _STEP.finditer(text):
        if match["item"] is not None:
            steps.append(PathStep("item", _key(match["item"])))
        elif match["member"] is not None:
            steps.append(PathStep("item", match["member"]))
        else:
            steps.append(PathStep(_KINDS.get(match["sign"], "name"), match["name"]))
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
