"""What the process that hands out packages knows of the work: nothing that takes memory or time to import."""

from __future__ import annotations

import resource
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

ADDRESS_SPACE = 14 << 30
"""Bytes that a worker may map; torch with CUDA maps several GiB before it does anything."""


class Job(NamedTuple):
    """One package, and where its outcome is to be kept."""

    name: str
    folder: str
    is_resumed: bool = False
    """Whether what was kept of it, when it was lost, is gone on with."""

    def __str__(self) -> str:
        return self.name


def limit_memory() -> None:
    """Lets this process have no more than the bound."""
    with suppress(ValueError, OSError):  # not every system knows such a bound
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


def run(job: Job, say: Callable[[str], None]) -> Any:
    """The outcome of one package, torch being imported here and in this process only."""
    from crater.task import run as work

    return work(job, say)
