"""Traps: user code that records that it ran, and raises, while it is watched."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from paramscope import Report, audit

ran: list[str] = []
"""What user code ran while it was watched."""
_is_armed = False


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Within it, user code is recorded, and raises."""
    global _is_armed
    ran.clear()
    _is_armed = True
    try:
        yield
    finally:
        _is_armed = False


def trip(what: str) -> None:
    """User code was run."""
    if _is_armed:
        ran.append(what)
        raise RuntimeError(f"{what} ran")


def mine(name: str, base: type) -> Callable[..., Any]:
    """A method that trips, and else does what the base class does."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        trip(name)
        return getattr(base, name)(self, *args, **kwargs)

    return method


def hostile(base: type, *names: str) -> type[Any]:
    """A subclass whose methods of these names, and whose `__class__`, are the user's own."""
    body: dict[str, Any] = {name: mine(name, base) for name in names}

    def claimed(self: Any) -> type:
        trip("__class__")
        return type(self)

    body["__class__"] = property(claimed)
    return type(f"Hostile{base.__name__}", (base,), body)


def audit_watched(model: nn.Module, **kwargs: Any) -> Report:
    """The report of an audit during which no user code ran."""
    with watched():
        report = audit(model, **kwargs)
        str(report)
        report.to_json()
    assert ran == []
    return report
