"""What the code of a class speaks of: names and texts in its methods, read from their code objects, never run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

from paramscope.capture.classes import class_dict, class_mro

_LIMIT = 2_000
"""Functions that are read for one question at most."""
_FUNCTIONS = frozenset({id(FunctionType)})


def calls_on(cls: type, attribute: str, method: str) -> bool:
    """Whether a method in the body of a class speaks of an attribute and of a method that it may call on it."""
    return any(
        {attribute, method} <= {name for code in _codes(function) for name in code.co_names}
        for function in _functions(class_dict(cls).values())
    )


def speaks_of(cls: type, name: str, *, below: type) -> bool:
    """Whether a method of a class, or of what it inherits from below a base, speaks of a name."""
    bases = [base for base in class_mro(cls) if base not in class_mro(below)]
    return any(
        name in code.co_names
        for base in bases
        for function in _functions(class_dict(base).values())
        for code in _codes(function)
    )


def strings_in(classes: Iterable[type], others: Iterable[Any] = ()) -> frozenset[str]:
    """Every text in the methods of classes and of what they inherit from, in some other functions, and in the
    functions of the same Python modules that these call."""
    found: set[str] = set()
    seen: set[int] = set()
    pending = [*others, *(each for cls in classes for base in class_mro(cls) for each in class_dict(base).values())]
    while pending and len(seen) < _LIMIT:
        for function in _functions([pending.pop()]):
            if id(function) in seen:
                continue
            seen.add(id(function))
            beside = function.__globals__
            for code in _codes(function):
                found.update(_strings(code.co_consts))
                called: Iterator[Any] = (dict.get(beside, name) for name in code.co_names)
                pending += [each for each in called if id(type(each)) in _FUNCTIONS and each.__globals__ is beside]
    return frozenset(found)


def _functions(values: Iterable[Any]) -> Iterator[FunctionType]:
    """The functions among what a class body holds, with those that decorators put around others."""
    pending = list(values)
    seen: set[int] = set()
    while pending:
        value = pending.pop()
        kind = type(value)
        if kind is staticmethod or kind is classmethod:
            pending.append(value.__func__)
        elif kind is property:
            pending += [value.fget, value.fset]
        elif kind is FunctionType and id(value) not in seen:
            seen.add(id(value))
            yield value
            pending.append(dict.get(value.__dict__, "__wrapped__"))
            pending += map(_content, value.__closure__ or ())


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # an empty one
        return None


def _codes(function: FunctionType) -> Iterator[CodeType]:
    """The code of a function, and of what is defined in it."""
    pending = [function.__code__]
    while pending:
        code = pending.pop()
        yield code
        pending += [each for each in code.co_consts if type(each) is CodeType]


def _strings(constants: Iterable[Any]) -> Iterator[str]:
    for each in constants:
        if type(each) is str:
            yield each
        elif type(each) is tuple or type(each) is frozenset:
            yield from _strings(each)
