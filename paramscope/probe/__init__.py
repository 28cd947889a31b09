"""A live model and inputs → what a run of it shows, as plain facts of its snapshot.

`graph` runs forward on fake tensors, which have sizes and no elements, and walks the autograd graph: it takes no
memory. `backward` and `step` do the real thing, and put everything back.
"""

from __future__ import annotations

import time
from typing import Any

from paramscope.capture import look, named_roots
from paramscope.errors import RunError
from paramscope.probe.graph import run_graph
from paramscope.probe.keep import kept
from paramscope.snapshot import RUN_KINDS, Snapshot


def snapshot_of_run(
    model: Any,
    optimizer: Any = None,
    *,
    values: bool = False,
    run: str = "graph",
    inputs: Any = None,
    loss: Any = None,
) -> Snapshot:
    """Everything that can be told of a model, and what a run of it shows. The model is as it was when this returns,
    and when it raises.

    run, inputs, loss: as `paramscope.audit` takes them.

    Raises NotAModule, NameClash, NotAnOptimizer, and RunError where it cannot be run.
    """
    if run not in RUN_KINDS:
        raise RunError(f"there is no run {run!r}", f"Choose from {', '.join(RUN_KINDS)}.")
    roots = named_roots(model)
    seen = look(model, optimizer, values=values)
    started = time.perf_counter()
    with kept([*(root for _, root in roots), optimizer], with_elements=False):
        found = run_graph(seen, model, roots, inputs, loss)
    return seen.snapshot.with_run(found._replace(seconds=time.perf_counter() - started))
