"""What the user's code raises in a run → a RunError: what was run, the frames of that code, what to write instead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from paramscope.errors import ParamscopeError, RunError
from paramscope.tracebacks import user_traceback

_ADVICE = {
    "modified by an inplace operation": (
        "Backward needs what was overwritten: write x = x + 1 in place of x += 1. Within "
        "torch.autograd.set_detect_anomaly(True), torch also says in which line of forward."
    ),
    "backward through the graph a second time": (
        "What an earlier forward computed is used again: detach it, or compute it anew in each forward."
    ),
    "Inference tensors cannot be saved": (
        "What is made under torch.inference_mode() has no gradients: make it outside, or hand over tensor.clone()."
    ),
    "Cannot copy out of meta tensor": 'On the meta device there are no elements: run="graph" needs none.',
}
"""By what torch's error says."""


@contextmanager
def running(what: str) -> Iterator[None]:
    """Errors of the user's code within it become a RunError. what: `model(1×3×224×224 float32)`."""
    try:
        yield
    except ParamscopeError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise RunError(f"{what} raised {kind}", _advice(error), detail=user_traceback(error)) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left; on the CPU, torch has no class for that."""
    kind: Any = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)
    return isinstance(error, (MemoryError, kind)) or "DefaultCPUAllocator" in str(error)


def _advice(error: Exception) -> str:
    if is_out_of_memory(error):
        return 'run="graph" takes no memory; a smaller batch takes less.'
    return next((advice for said, advice in _ADVICE.items() if said in str(error)), "")
