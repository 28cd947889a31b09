"""What a function tells of a snapshot, worked out the first time that a rule asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from paramscope.rules.facts import Facts

P = ParamSpec("P")
T = TypeVar("T")


def once(tell: Callable[Concatenate[Facts, P], T]) -> Callable[Concatenate[Facts, P], T]:
    """For equal further arguments the same answer, which no rule may change."""

    @wraps(tell)
    def told(facts: Facts, /, *args: P.args, **named: P.kwargs) -> T:
        return facts.once((tell, *args, *named.items()), lambda: tell(facts, *args, **named))

    return told


def all_once(tell: Callable[[Facts], Iterable[T]]) -> Callable[[Facts], tuple[T, ...]]:
    """As `once`, for what is yielded one by one."""

    @once
    @wraps(tell)
    def told(facts: Facts) -> tuple[T, ...]:
        return tuple(tell(facts))

    return told
