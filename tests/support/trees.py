"""Random module trees: shared modules, ties, views, buffers, empty slots, odd attributes, plain tensors, and
containers, objects and callables that hold all of these."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import torch
from hypothesis import strategies as st
from torch import nn

KINDS = (
    "parameter",
    "parameter",
    "parameter",
    "frozen",
    "buffer",
    "transient",
    "tensor",
    "leaf",
    "none",
    "empty buffer",
    "number",
)


class Slotted:
    """An object without a dict."""

    __slots__ = ("items",)

    def __init__(self, items: Any) -> None:
        self.items = items


def closing_over(items: Any) -> Callable[[], Any]:
    """A function that holds something in its closure."""

    def fn() -> Any:
        return items

    return fn


HOLDERS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "dict": lambda items: dict(enumerate(items)),
    "namespace": lambda items: SimpleNamespace(items=items),
    "slotted": Slotted,
    "partial": lambda items: functools.partial(print, *items),
    "closure": closing_over,
}
"""What holds some things where torch does not look."""


class Maker:
    """Builds one tree from Hypothesis's choices, and keeps what it made, so that it can use it again."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.tensors: list[torch.Tensor] = []
        self.halves: list[torch.Tensor] = []
        self.modules: list[nn.Module] = []

    def pick(self, options: Any, label: str) -> Any:
        """One of some options."""
        return self.data.draw(st.sampled_from(options), label)

    def chance(self, label: str) -> bool:
        """Yes, one time in two."""
        return self.data.draw(st.booleans(), label)

    def tensor(self, kind: str) -> torch.Tensor:
        """A tensor of a kind, now and then one that is in use elsewhere."""
        same = [t for t in self.tensors if isinstance(t, nn.Parameter) == (kind in ("parameter", "frozen"))]
        if same and self.chance("tie"):
            return self.pick(same, "which")
        wide = [t for t in self.tensors if t.numel() > 1 and t.dtype is torch.float32]
        if wide and self.chance("view"):
            return self.view(self.pick(wide, "of what"), kind)
        if self.halves:
            return self.view(self.halves.pop(), kind, whole=True)
        if self.chance("halves"):
            # Of one storage that no tensor holds as a whole.
            one, *self.halves = torch.zeros(6).split(3)
            return self.view(one, kind, whole=True)
        shape = self.pick([(), (0,), (3,), (2, 3)], "shape")
        if kind in ("parameter", "frozen"):
            made: torch.Tensor = nn.Parameter(torch.zeros(shape), requires_grad=kind == "parameter")
        else:
            dtype = torch.float32 if kind == "leaf" else self.pick([torch.float32, torch.int64], "dtype")
            made = torch.zeros(shape, dtype=dtype, requires_grad=kind == "leaf")
        self.tensors.append(made)
        return made

    def view(self, base: torch.Tensor, kind: str, *, whole: bool = False) -> torch.Tensor:
        """A tensor of a kind over all or some of another one's memory."""
        if whole:
            return self.made(base.detach(), kind)
        same = base.detach()
        flat = same.as_strided((same.untyped_storage().nbytes() // 4,), (1,), 0)
        views = [same, flat, flat[:2], flat[1:], flat[::2], same.t() if same.ndim == 2 else flat[-1:]]
        return self.made(self.pick(views, "view").detach(), kind)

    def made(self, made: torch.Tensor, kind: str) -> torch.Tensor:
        """A tensor turned into one of a kind, and kept."""
        if kind in ("parameter", "frozen"):
            made = nn.Parameter(made, requires_grad=kind == "parameter")
        elif kind == "leaf":
            made.requires_grad_()
        self.tensors.append(made)
        return made

    def module(self, depth: int) -> nn.Module:
        """A module with slots, children and lists; at times one that is in use elsewhere."""
        if self.modules and self.chance("share"):
            return self.pick(self.modules, "which module")
        module: Any = nn.Module()
        for i in range(self.data.draw(st.integers(1, 4), "slots")):
            self.add_slot(module, f"t{i}", self.pick(KINDS, "kind"))
        if depth:
            for i in range(self.data.draw(st.integers(0, 3), "children")):
                module.add_module(f"m{i}", None if self.chance("no child") else self.module(depth - 1))
            if self.chance("list"):
                module.things = self.container(depth - 1)
            if self.chance("odd"):
                module.require_grad = False
        # Entered when it is whole, so that no module holds itself.
        self.modules.append(module)
        return module

    def tree(self, depth: int) -> nn.Module:
        """A module with something of its own, and one that it keeps where torch does not look."""
        root: Any = self.module(depth)
        root.register_parameter("own", self.tensor("parameter"))
        root.kept = [self.module(0)]
        return root

    def add_slot(self, module: nn.Module, name: str, kind: str) -> None:
        """One slot of some kind."""
        if kind in ("parameter", "frozen"):
            module.register_parameter(name, cast(nn.Parameter, self.tensor(kind)))
        elif kind in ("buffer", "transient"):
            module.register_buffer(name, self.tensor(kind), persistent=kind == "buffer")
        elif kind in ("tensor", "leaf"):
            setattr(module, name, self.tensor(kind))
        elif kind == "none":
            module.register_parameter(name, None)
        elif kind == "empty buffer":
            module.register_buffer(name, None)
        else:
            setattr(module, name, 7)

    def container(self, depth: int) -> Any:
        """A list, tuple or dict of modules, tensors, numbers and containers."""
        items: list[Any] = []
        for _ in range(self.data.draw(st.integers(1, 3), "items")):
            what = self.pick(
                ("module", "module", "module", "parameter", "frozen", "tensor", "leaf", "number", "container"), "item"
            )
            if what == "module":
                items.append(self.module(max(depth, 0)))
            elif what == "number":
                items.append(3)
            elif what == "container":
                items.append(self.container(depth - 1) if depth > 0 else [])
            else:
                items.append(self.tensor(what))
        return HOLDERS[self.pick(tuple(HOLDERS), "container")](items)
