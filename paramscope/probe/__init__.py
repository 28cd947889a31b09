"""A live model and inputs → what a run of it shows, as plain facts of its snapshot.

`graph` runs forward on fake tensors, which have sizes and no elements, and walks the autograd graph: it takes no
memory. `backward` and `step` do the real thing, and put everything back.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from paramscope.capture import Seen, look, named_roots
from paramscope.capture.handed import handed_over
from paramscope.errors import RunError
from paramscope.probe.failing import is_without_hooks
from paramscope.probe.graph import run_graph
from paramscope.probe.keep import kept
from paramscope.probe.real import run_real
from paramscope.snapshot import RUN_KINDS, Snapshot


def snapshot_of_run(
    model: Any,
    optimizer: Any = None,
    *,
    values: bool = False,
    run: str = "graph",
    inputs: Any = None,
    loss: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> Snapshot:
    """Everything that can be told of a model, and what a run of it shows. The model is as it was when this returns,
    and when it raises.

    run, inputs, loss: as `paramscope.audit` takes them. progress: as `paramscope.capture` does.

    Raises NotAModule, NameClash, NotAnOptimizer, and RunError where it cannot be run.
    """
    if run not in RUN_KINDS:
        raise RunError(f"there is no run {run!r}", f"Choose from {', '.join(RUN_KINDS)}.")
    if run == "step" and not handed_over(optimizer):
        raise RunError("there is no optimizer to step", "Hand one over: audit(model, optimizer=…), at the shell -O.")
    roots = named_roots(model)
    seen = look(model, optimizer, values=values, progress=progress)
    started = time.perf_counter()
    held = [*(root for _, root in roots), *seen.held, inputs, loss, *([] if run == "graph" else [optimizer])]
    # What is registered, graph replaces.
    replaced = _registered(seen) if run == "graph" else ()
    with _differentiable(), kept(held, without=replaced) as keeper:
        if run == "graph":
            try:
                found = run_graph(seen, model, roots, optimizer, inputs, loss)
            except RunError as error:
                if not is_without_hooks(error):
                    raise
                keeper.put_back()
                found = run_graph(seen, model, roots, optimizer, inputs, loss, counts_kept=False)
        else:
            found = run_real(seen, model, optimizer, inputs, loss, keeper, is_stepped=run == "step")
    return seen.snapshot.with_run(found._replace(seconds=time.perf_counter() - started))


def _registered(seen: Seen) -> set[int]:
    """Ids of the tensors that are registered, by their numbers."""
    snapshot = seen.snapshot
    numbers = {tensor for slot, tensor in enumerate(snapshot.slot_columns.tensors) if snapshot.is_registered(slot)}
    return {at for at, number in seen.tensors.items() if number in numbers}


@contextmanager
def _differentiable() -> Iterator[None]:
    """Within it, gradients are computed, whatever mode the caller is in, nothing is compiled, and attention does not
    take the way on which nobody sees its layers."""
    is_fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        with _modes():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=is_fast)


@contextmanager
def _modes() -> Iterator[None]:
    with torch.inference_mode(mode=False), torch.enable_grad(), warnings.catch_warnings():
        # What counts the calls of modules is such a hook, and an extra one does not matter.
        warnings.filterwarnings("ignore", "Using `torch.compile\\(module\\)` when there are global hooks")
        # What looks at a tensor to make one without elements of it asks for this, too.
        warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf Tensor")
        if "torch._dynamo" not in sys.modules:
            yield
            return
        uncompiled = torch.compiler.set_stance if hasattr(torch.compiler, "set_stance") else _stance_of_old
        with uncompiled("force_eager"), warnings.catch_warnings():
            # Of a compiled module, hooks see the wrapper and what it wraps: two modules here, too.
            warnings.filterwarnings("ignore", "Using `torch.compile")
            yield


@contextmanager
def _stance_of_old(_: str) -> Iterator[None]:
    """Within it, what is compiled runs as it was written, on torch 2.4 and 2.5, which have no stances: there, to
    compile while operations are looked at fails."""
    entry: Any = sys.modules["torch._dynamo.eval_frame"]
    kept = entry.set_eval_frame
    entry.set_eval_frame = lambda _: kept(None)  # what compiles the frames that are entered
    try:
        yield
    finally:
        entry.set_eval_frame = kept
