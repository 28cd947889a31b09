"""Building a model draws random numbers: `untouched_randomness` leaves a test's own untouched."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def untouched_randomness() -> Iterator[None]:
    """Gives Python's, NumPy's and torch's generators their states back.

    What is not imported yet has not been seeded by anybody, so it is not imported here.
    """
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    with ExitStack() as stack:
        stack.callback(random.setstate, random.getstate())
        if numpy is not None:
            stack.callback(numpy.random.set_state, numpy.random.get_state())
        if torch is not None:
            devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
            stack.enter_context(torch.random.fork_rng(devices=devices))
        yield
