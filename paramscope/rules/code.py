"""Places as Python: what help can say so that it may be typed in."""

from __future__ import annotations

import re
from keyword import iskeyword

from paramscope.rules.facts import Facts
from paramscope.snapshot import join
from paramscope.snapshot.path import is_at_or_below, names_below

_LISTS = tuple(f"torch.nn.modules.container.{name}" for name in ("ModuleList", "Sequential", "ParameterList"))
_DICTS = tuple(f"torch.nn.modules.container.{name}" for name in ("ModuleDict", "ParameterDict"))

_STEP = re.compile(
    r"""(?xs)
    (?P<item> \[ (?: \d+ | '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" ) \] )
    | (?: -> | :: | \. | ^ ) (?P<name> \w+ )
    """
)


def to_code(facts: Facts, path: str) -> str:
    """`blocks[0].norm.weight` for the registered slot or module `blocks.0.norm.weight`.

    Where the first step has no name that Python can write after nothing, it begins at `model`; in one of several
    roots it begins at that one's name.
    """
    root = max((each for each in facts.snapshot.roots if is_at_or_below(path, each)), key=len, default="")
    start = root if not root or _is_name(root) else f"models[{root!r}]"
    code = start + _steps(facts, root, path)
    return code.removeprefix(".") if code.startswith(".") else code if root else f"model{code}"


def to_code_within(facts: Facts, module: str | None, path: str) -> str:
    """The same as a module above writes it in its own `forward`: `self.norm.weight`; None for no module."""
    return to_code(facts, path) if module is None else f"self{_steps(facts, module, path)}"


def is_container(facts: Facts, module: str) -> bool:
    """Whether it is one of torch's own classes that only hold others."""
    return facts.modules[module].type in (*_LISTS, *_DICTS)


def _steps(facts: Facts, module: str, path: str) -> str:
    """What leads from a module down to a path."""
    code, here = "", module
    for step in names_below(path, module):
        code += _step(facts, here, step)
        here = join(here, step)
    return code


def _step(facts: Facts, module: str, step: str) -> str:
    """What leads from a module to what it holds under a name."""
    type = facts.modules[module].type if module in facts.modules else ""
    if step.isdecimal() and facts.is_a(type, *_LISTS):
        return f"[{step}]"
    if _is_name(step):
        return f".{step}"
    if facts.is_a(type, *_DICTS):
        return f"[{step!r}]"
    return f".get_{'submodule' if join(module, step) in facts.modules else 'parameter'}({step!r})"


def _is_name(step: str) -> bool:
    return step.isidentifier() and not iskeyword(step)


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
        elif _is_name(match["name"]):
            code += f".{match['name']}" if code else match["name"]
        else:
            return None
    return code or None
