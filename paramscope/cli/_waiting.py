"""What a command is at, said on stderr while it takes long: redrawn each second on a terminal, once elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

FIRST, HINT = 1.0, 3.0
"""Seconds after which a terminal shows what is going on, and after which a hint says why it may take so long."""


@contextmanager
def waiting(doing: str, hint: str = "") -> Iterator[None]:
    """Says what is going on within it, if that takes long; without a hint only on a terminal."""
    stream, done = sys.stderr, threading.Event()
    is_terminal = stream.isatty()

    def tell() -> None:
        start = time.monotonic()
        if done.wait(FIRST if is_terminal else HINT):
            return
        if not is_terminal:
            stream.write(f"{doing} …{hint}\n" if hint else "")
            stream.flush()
            return
        while True:
            passed = time.monotonic() - start
            stream.write(f"\r\x1b[K{doing} … {passed:.0f} s{hint if passed >= HINT else ''}")
            stream.flush()
            if done.wait(1):
                stream.write("\r\x1b[K")
                stream.flush()
                return

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
