"""A few slots of an optimizer, listened to: how often backward adds to a gradient, and whether it adds to what a step
before has used."""

from __future__ import annotations

from typing import Any
from weakref import ref

import torch

from paramscope.loop.uncompiled import uncompiled
from paramscope.loop.values import is_readable, sample

MANY = 4
"""Slots that are listened to."""


class Sentinel:
    """One slot, held weakly. One hook is called when a gradient is about to be added, another when it was: what
    `torch.autograd.grad` computes is never added."""

    def __init__(self, path: str, tensor: Any) -> None:
        self.path = path
        self.accumulated = 0
        """Since the last step."""
        self._carrying: ref[Any] | None = None
        """The gradient, if all that it was at the last step was still in it when backward last added to it."""
        self._expected: Any = None
        """Some elements as they are if nothing but backward has changed the gradient since the last step."""
        self._sum: Any = None
        """What they are to become, while backward adds."""
        self._tensor = ref(tensor)
        self._hooks = (
            tensor.register_hook(self._about_to_add),
            tensor.register_post_accumulate_grad_hook(self._added),
        )

    def is_carried(self) -> bool:
        """Whether the gradient holds what it was at the last step, and what backward added since. It may have been
        scaled or clipped then, which keeps signs; but not replaced."""
        tensor, carrying = self._tensor(), None if self._carrying is None else self._carrying()
        if tensor is None or carrying is None or tensor.grad is not carrying or not is_readable(carrying):
            return False
        return bool(sample(carrying).sign().equal(self._expected.sign()))

    def restart(self, *, is_close: bool) -> None:
        """After a step. is_close: whether the next one is looked at closely."""
        self.accumulated, self._carrying, self._expected = 0, None, None
        tensor = self._tensor()
        grad = tensor.grad if is_close and tensor is not None else None
        if grad is not None and is_readable(grad):
            kept = sample(grad).clone()
            self._expected = kept if kept.any() else None

    def close(self) -> None:
        """Listens no more."""
        for hook in self._hooks:
            hook.remove()

    @uncompiled
    def _about_to_add(self, more: Any) -> None:
        self._sum = None
        tensor = self._tensor()
        if tensor is not None and tensor.grad is None:
            self.accumulated = 0  # what was added before was for another optimizer, and is cleared
        if self._expected is None or tensor is None:
            return
        with torch.no_grad(), torch._C.DisableTorchFunction():
            grad = tensor.grad
            if grad is not None and is_readable(grad) and is_readable(more) and sample(grad).equal(self._expected):
                self._sum = sample(grad) + sample(more)

    @uncompiled
    def _added(self, tensor: Any) -> None:
        self.accumulated += 1
        self._expected, self._sum = self._sum, None
        self._carrying = None if self._expected is None else ref(tensor.grad)


def choose(slots: list[tuple[str, Any]]) -> list[Sentinel]:
    """Sentinels of some slots, with their tensors, spread over all that have a gradient."""
    able = [(path, tensor) for path, tensor in slots if tensor.requires_grad and is_readable(tensor)]
    stride = max(1, -(-len(able) // MANY))
    return [Sentinel(path, tensor) for path, tensor in able[::stride]]
