"""Paths as Python code, for help that can be typed in."""

from __future__ import annotations

import keyword
import re

_STEP = re.compile(
    r"""(?xs)
    (?P<item> \[ (?: \d+ | '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" ) \] )
    | (?: -> | :: | \. | ^ ) (?P<name> \w+ )
    """
)


def as_code(path: str, receiver: str = "") -> str | None:
    """A path as an expression of Python: `layers[0].weight` for `layers.0.weight`, `stats.mean` for `stats->mean`.

    receiver: what the path begins at, such as `self`; without one, what begins with a number is said to be `model`'s.
    None where a path has no code: a member of a set, what a closure holds, a name that is none of Python's.
    """
    code, end = receiver, 0
    while end < len(path):
        match = _STEP.match(path, end)
        if match is None:
            return None
        end = match.end()
        if match["item"] is not None:
            code += match["item"]
        elif match["name"].isdecimal():
            code = f"{code or 'model'}[{match['name']}]"
        elif match["name"].isidentifier() and not keyword.iskeyword(match["name"]):
            code += f".{match['name']}" if code else match["name"]
        else:
            return None
    return code or None
