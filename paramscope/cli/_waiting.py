"""What a command is at, said on stderr while it takes long: redrawn each second on a terminal, once elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

FIRST, HINT = 1.0, 3.0
"""Seconds after which a terminal shows what is going on, and after which a hint says why it may take so long."""
_STEP = 0.25


@contextmanager
def waiting(doing: str, hint: str = "") -> Iterator[None]:
    """Says what is going on within it, if that takes long; without a hint only on a terminal.

    The seconds that importing torch takes are no reason for a hint: nobody can do anything about them.
    """
    stream, done = sys.stderr, threading.Event()
    is_terminal = stream.isatty()
    if not is_terminal and not hint:
        yield
        return

    def tell() -> None:
        start, own, drawn = time.monotonic(), 0.0, ""
        while not done.wait(_STEP):
            own += 0 if _is_importing_torch() else _STEP
            passed = time.monotonic() - start
            if is_terminal and passed >= FIRST:
                drawn = f"\r\x1b[K{doing} … {passed:.0f} s{hint if own >= HINT else ''}"
                stream.write(drawn)
                stream.flush()
            elif not is_terminal and own >= HINT:
                stream.write(f"{doing} …{hint}\n")
                stream.flush()
                return
        if drawn:
            stream.write("\r\x1b[K")
            stream.flush()

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _is_importing_torch() -> bool:
    return bool(getattr(getattr(sys.modules.get("torch"), "__spec__", None), "_initializing", False))
