"""The garbage collector, paused while millions of objects are made that all stay."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """Within it there is no collection: a full one in the middle would visit all that was made so far, again and
    again. Afterwards it runs as it did before; modules that were imported meanwhile it does not visit as new ones."""
    was_enabled = gc.isenabled()
    modules = len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if len(sys.modules) > modules and not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()  # to where the old ones are
            gc.enable()
