"""A hook → the same, which no compiler follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

_Function = TypeVar("_Function", bound=Callable[..., Any])
# A step may be compiled, and with it what it calls; in torch 2.4 what backward calls, too, where a whole loop is.
# torch.compiler.disable would import the compiler at once.
uncompiled: Callable[[_Function], _Function] = torch._disable_dynamo  # type: ignore[attr-defined, assignment]
