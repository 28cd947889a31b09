"""The hooks of one optimizer: when the gradients of a step are complete, and when it is done."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType
from typing import Any

import torch

from paramscope.capture.classes import short_name
from paramscope.errors import NotAnOptimizer
from paramscope.loop.look import Held
from paramscope.loop.uncompiled import uncompiled


class Hooks:
    """Registered on an optimizer until they are closed."""

    def __init__(self, held: Held, begin: Callable[[], bool], end: Callable[[bool], None]) -> None:
        """begin: called before anything is stepped, after the closure where there is one; it says whether `end` is to
        be called after the step. end: is given whether the optimizer calls its closure several times a step.

        Raises NotAnOptimizer where torch calls no hooks.
        """
        optimizer = held.holder
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise NotAnOptimizer(
                f"the steps of optimizer {held.name} cannot be watched: a {short_name(type(optimizer))} has no hooks",
                "Hand over the torch.optim.Optimizer within it; or watch without steps=True.",
            )
        self._held, self._begin, self._end = held, begin, end
        self._depth = 0
        """Calls of `step` within one another: torch calls the hooks for that of a base class, too."""
        self._is_begun = False
        self._searches = False
        self._handles = (
            optimizer.register_step_pre_hook(self._before),
            optimizer.register_step_post_hook(self._after),
        )

    def are_lost(self) -> bool:
        """Whether somebody else removed one of them, on an optimizer that lives."""
        optimizer = self._held.holder
        if optimizer is None:
            return False
        there = {**optimizer._optimizer_step_pre_hooks, **optimizer._optimizer_step_post_hooks}
        return any(handle.id not in there for handle in self._handles)

    def close(self) -> None:
        """Removes them."""
        for handle in self._handles:
            handle.remove()

    @uncompiled
    def _before(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._depth and _is_within_step(optimizer):
            self._depth += 1
            return None
        # What a step before left, which raised, is over.
        self._depth, self._is_begun = 1, False
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        # An optimizer of somebody's own may take something else there: a number, the model.
        if not callable(closure) or isinstance(closure, torch.nn.Module):
            self._is_begun = self._begin()
            return None

        def first(*given: Any, **named: Any) -> Any:
            loss = closure(*given, **named)
            self._evaluated()
            return loss

        if "closure" in kwargs:
            return args, {**kwargs, "closure": first}
        return (args[0], first, *args[2:]), kwargs

    @uncompiled
    def _evaluated(self) -> None:
        if self._is_begun:
            self._searches = True
        else:
            self._is_begun = self._begin()

    @uncompiled
    def _after(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._depth = max(self._depth - 1, 0)
        if not self._depth and self._is_begun:
            self._is_begun = False
            self._end(self._searches)


# What torch puts around each `step`, and calls the hooks from.
_WRAPPER = next(each for each in torch.optim.Optimizer.profile_hook_step.__code__.co_consts if type(each) is CodeType)


def _is_within_step(optimizer: Any) -> bool:
    """Whether the hook that asks is called for a step within a step of the same optimizer."""
    calls = 0
    frame: Any = sys._getframe()
    while frame is not None:
        calls += frame.f_code is _WRAPPER and frame.f_locals.get("self") is optimizer
        frame = frame.f_back
    return calls > 1
