"""What the user's code raises in a run → a RunError: what was run, the frames of that code, what to write instead."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException

from paramscope.errors import ParamscopeError, RunError
from paramscope.report.finding import shown_file
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
    "is not supported for tensor subclasses": (
        'Tensors without elements are no numpy arrays: run it for real, run="backward", at the shell --run backward.'
    ),
    "Cannot copy out of meta tensor": 'On the meta device there are no elements: run="graph" needs none.',
}
"""By what torch's error says."""


@contextmanager
def running(what: str, advice: str = "") -> Iterator[None]:
    """Errors of the user's code within it become a RunError.

    what: `model(1×3×224×224 float32)`. advice: what to write instead, where the error itself does not tell.
    """
    try:
        yield
    except ParamscopeError:
        raise
    except (DataDependentOutputException, DynamicOutputShapeException) as error:
        raise _needs_elements(error) from error
    except Exception as error:
        kind = type(error).__name__
        raise RunError(
            f"{what} raised {kind}", _advice(error) or advice, detail=user_traceback(error, most=1)
        ) from error


def _needs_elements(error: Exception) -> RunError:
    """What is said where forward asks for the elements of a tensor that has none."""
    hidden = (os.path.dirname(torch.__file__), os.path.dirname(__file__))
    frames = [each for each in traceback.extract_tb(error.__traceback__) if not each.filename.startswith(hidden)]
    place = f", at {shown_file(frames[-1].filename)}:{frames[-1].lineno}: {frames[-1].line}" if frames else ""
    return RunError(
        f"what forward does depends on the elements of a tensor{place}",
        'run="graph" has tensors without elements: run it for real, run="backward", at the shell --run backward.',
    )


def is_without_hooks(error: BaseException) -> bool:
    """Whether forward does something during which torch lets nobody see what is kept for backward."""
    return "saved tensor hooks" in str(error.__cause__)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left; on the CPU, torch has no class for that."""
    kind: Any = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)
    return isinstance(error, (MemoryError, kind)) or "DefaultCPUAllocator" in str(error)


def _advice(error: Exception) -> str:
    if is_out_of_memory(error):
        return 'run="graph" takes no memory but for the inputs; a smaller batch takes less.'
    return next((advice for said, advice in _ADVICE.items() if said in str(error)), "")
