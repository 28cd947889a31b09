"""Tasks that go wrong, for the tests of the sweep. It imports nothing, so that workers start at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable


def troubled(job: str, say: Callable[[str], None]) -> str:
    """Hangs, dies or raises if the job says so."""
    say("building")
    if job == "hang":
        say("checking")
        time.sleep(1000)
    if job == "die":
        os._exit(9)
    if job == "raise":
        raise ValueError("by itself")
    return f"{job} in {os.getpid()}"


def dies_at_once() -> None:
    """What a worker does that never gets to its first job."""
    os._exit(3)
