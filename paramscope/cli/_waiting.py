"""What a command is at, said on stderr while it takes long: redrawn each second on a terminal, once elsewhere."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from paramscope import text

FIRST, HINT = 1.0, 3.0
"""Seconds after which a terminal shows what is going on, and after which a hint says why it may take so long."""
_STEP = 0.25
_BAR = 20
"""Characters of a whole bar."""
_tasks: list[str] = []
"""What is waited for, each within the one before it: the last one is told of."""
_places: list[str] = []
"""Which of several things it is that is done, as it is said of each task."""


@contextmanager
def one_of(number: int, total: int) -> Iterator[None]:
    """What waits within it is for one of several things, and says which. number: from 1."""
    _places.append(f" ({number} of {total})" if total > 1 else "")
    try:
        yield
    finally:
        _places.pop()


@contextmanager
def waiting(doing: str, hint: str = "") -> Iterator[Callable[[int, int], None]]:
    """Says what is going on within it, if that takes long; without a hint only on a terminal. Gives what may be
    called with how much is done, and of how much: a bar shows that. An interrupt says what it came between.

    The seconds that importing torch takes are no reason for a hint: nobody can do anything about them.
    """
    stream, finished = sys.stderr, threading.Event()
    is_terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
    done, total = 0, 0

    def progress(now: int, of: int) -> None:
        nonlocal done, total
        done, total = now, of

    def tell() -> None:
        start, own, drawn = time.monotonic(), 0.0, False
        while not finished.wait(_STEP):
            own += 0 if _is_importing_torch() else _STEP
            passed = time.monotonic() - start
            if len(_tasks) > depth:
                continue
            if is_terminal and passed >= FIRST:
                filled = _BAR * done // total if total else 0
                bar = f" [{'#' * filled:-<{_BAR}}] {text.share(done, total)} %" if total else ""
                drawn = True
                line = f"{doing}{''.join(_places)} … {passed:.0f} s{bar}{hint if own >= HINT else ''}"
                stream.write(f"\r\x1b[K{line[: text.fitting(line, _columns(stream) - 1)]}")
                stream.flush()
            elif not is_terminal and own >= HINT:
                stream.write(f"{doing} …{hint}\n")
                stream.flush()
                return
        if drawn:
            stream.write("\r\x1b[K")
            stream.flush()

    teller = threading.Thread(target=tell, daemon=True) if is_terminal or hint else None
    _tasks.append(doing)
    depth = len(_tasks)
    if teller is not None:
        teller.start()
    try:
        yield progress
    except KeyboardInterrupt as interrupt:
        if interrupt.args:  # what is within this one knows better
            raise
        reached = f", {text.share(done, total)} % done" if total else ""
        raise KeyboardInterrupt(f"while {doing}{reached}") from None
    finally:
        finished.set()
        if teller is not None:
            teller.join()
        _tasks.pop()


def _columns(stream: TextIO) -> int:
    """How wide the terminal is: a line that goes on in the next one cannot be redrawn."""
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or 80
    return 80


def _is_importing_torch() -> bool:
    return bool(getattr(getattr(sys.modules.get("torch"), "__spec__", None), "_initializing", False))
