"""How something unregistered is reached, told from its path: in a container, an object, a callable or the class."""

from __future__ import annotations

from typing import Literal, NamedTuple

from paramscope.rules.facts import Facts
from paramscope.source.steps import is_numbered, to_steps


class Held(NamedTuple):
    """The way from the nearest registered module to something that it does not register."""

    owner: str
    """Path of that module."""
    attribute: str
    """The first attribute on the way."""
    kind: Literal["attribute", "container", "object", "callable", "class"]
    """The least that hides it: a class before a callable, a callable before an object, an object before a container;
    `attribute` for what the module holds directly."""
    is_dict: bool
    """Whether the container that holds it, or the last of several, is a dict."""


_CALLABLE = frozenset(
    {"func", "args", "keywords", "__self__", "__func__", "__wrapped__", "__defaults__", "__kwdefaults__"}
)


def held_by(facts: Facts, path: str) -> Held | None:
    """How a slot or a module is reached; None for what cannot be told from its path."""
    owner = _owner(facts, path)
    rest = path[len(owner) :].removeprefix(".")
    if not rest:
        return None
    steps = to_steps(rest)
    first = steps[0].text
    if steps[0].kind == "class":
        return Held(owner, first, "class", is_dict=False)
    is_dict = any(step.kind == "item" and not is_numbered(step) for step in steps)
    attributes = [step.text for step in steps[1:] if step.kind == "member"]
    if any(text in _CALLABLE or text.startswith("<") for text in attributes):
        kind: Literal["attribute", "container", "object", "callable", "class"] = "callable"
    elif attributes:
        kind = "object"
    else:
        kind = "container" if len(steps) > 1 else "attribute"
    return Held(owner, first, kind, is_dict=is_dict)


def _owner(facts: Facts, path: str) -> str:
    """The longest path of a module that a path begins with and that is not the path itself, registered ones first."""
    best = ""
    for end, character in enumerate(path):
        if character in ".[{-:" and end:
            above = path[:end]
            try:
                module = facts.modules[above]
            except KeyError:
                continue
            if module.registered:
                best = above
    return best
