"""Odd attributes of modules: what looks like a misspelled `requires_grad`, and what libraries leave on instances."""

from __future__ import annotations

from dis import get_instructions
from types import CodeType, FunctionType
from typing import Any

from paramscope.capture.classes import DECIDING, ClassFacts, class_dict, class_mro, is_a, is_torch
from paramscope.capture.lookups import attribute_reader
from paramscope.snapshot import Oddity

MISSPELLED = frozenset(
    {
        "require_grad",
        "required_grad",
        "requires_gradient",
        "require_gradient",
        "requiresgrad",
        "requiers_grad",
        "requires_grads",
    }
)
"""As they were met in code; no other name is taken for one of these."""
ODD_NAMES = MISSPELLED | {
    "requires_grad",
    "requires_grad_",
    "forward",
    "_hf_hook",
    "all_tied_weights_keys",
    *DECIDING,
}
"""Of a module's instance attributes, those that are looked at."""


def to_oddity(path: str, name: str, value: Any, facts: ClassFacts) -> Oddity | None:
    """The oddity of an instance attribute of a module with one of the odd names; None where it means nothing."""
    if name == "_hf_hook":
        return Oddity(path, "offloaded", name, None) if _offloads(value) else None
    if name == "forward":
        return Oddity(path, "own-forward", name, None)
    if name == "all_tied_weights_keys" or name in DECIDING or name in facts.defines:
        return None
    return Oddity(path, "odd-attribute", name, plain_value(value))


def uses_itself(cls: type, name: str) -> bool:
    """Whether a class of the user's, or one that it inherits from, defines an attribute or reads its own of that
    name: then it is the class's business."""
    for base in class_mro(cls):
        if is_torch(base):
            continue
        members = class_dict(base)
        if name in members:
            return True
        for member in members.values():
            function = member.__func__ if type(member) in (staticmethod, classmethod) else member
            function = member.fget if type(member) is property else function
            if type(function) is FunctionType and (
                _reads_own(function.__code__, name)
                or (_is_constructor(function) and _keeps_and_hands_on(function.__code__, name))
            ):
                return True
    return False


def _is_constructor(function: FunctionType) -> bool:
    return function.__name__ in ("__init__", "__new__")


def _keeps_and_hands_on(code: CodeType, name: str) -> bool:
    """Whether a method is given an argument of a name, keeps it on its first argument under that name, and asks for
    it elsewhere as well."""
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if name not in arguments[1:] or name not in code.co_names:
        return False
    loads, kept = 0, 0
    before: list[Any] = []
    for step in get_instructions(code):
        if step.opname == "STORE_ATTR" and step.argval == name and before[-1:] == [arguments[0]]:
            kept += 1
        if step.opname.startswith("LOAD_"):
            loaded = step.argval if type(step.argval) is tuple else (step.argval,)
            before += loaded
            # A function within the method that asks for it is made with `LOAD_CLOSURE` of it.
            loads += sum(each == name for each in loaded) if not step.opname.startswith(_NOT_LOCAL) else 0
        elif step.opname not in _QUIET:
            before.clear()
    return kept > 0 and loads > kept


_NOT_LOCAL = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL", "LOAD_CONST", "LOAD_NAME")
_QUIET = frozenset({"EXTENDED_ARG", "CACHE", "COPY", "NOP"})


def _reads_own(code: CodeType, name: str) -> bool:
    """Whether a method, or a function in it, asks its first argument for an attribute."""
    if name in code.co_consts and "getattr" in code.co_names:
        return True
    if any(type(constant) is CodeType and _reads_own(constant, name) for constant in code.co_consts):
        return True
    if name not in code.co_names:
        return False
    instances = {*code.co_varnames[:1], *code.co_freevars}
    loaded: Any = None
    for step in get_instructions(code):
        if step.opname in ("LOAD_ATTR", "LOAD_METHOD") and step.argval == name and loaded in instances:
            return True
        # Some versions of Python load two names at once: the last one is asked.
        loaded = step.argval[-1] if type(step.argval) is tuple and step.argval else step.argval
    return False


def plain_value(value: Any) -> bool | int | str | None:
    """What an odd attribute was set to, where JSON can hold it; None for anything else."""
    return value if type(value) in (bool, str) or (type(value) is int and abs(value) < 1 << 63) else None


def _offloads(hook: Any, depth: int = 0) -> bool:
    """Whether an accelerate hook, or one of several in one, brings a module's tensors in and takes them out."""
    steps = attribute_reader(type(hook))
    if steps is None:
        return False
    held = dict(steps(hook))
    if held.get("->offload") is True or held.get("->weights_map") is not None:
        return True
    hooks: Any = held.get("->hooks")
    if depth == 4 or not is_a(hooks, list, tuple):
        return False
    base = list if is_a(hooks, list) else tuple
    return any(_offloads(each, depth + 1) for each in base.__iter__(hooks))
