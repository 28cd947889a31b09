"""The work on one class, as it is done in a worker."""

from __future__ import annotations

import gc
import os
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from paramscope import audit
from zoo.build import NotBuilt, build, find
from zoo.catalogue import Job
from zoo.check import Facts, check, living, wrong_moves

ADDRESS_SPACE = 8 << 30
"""Bytes that a worker may map: what wants more raises, and the machine is spared."""
REAL_BYTES = 512 << 20
"""A model that takes no more than this is built a second time, with memory."""


class Checked(NamedTuple):
    """What came of one class."""

    job: Job
    where: str
    """`meta`, `cpu`, or `meta and cpu`; empty where it could not be built."""
    reason: str
    """Why it could not be built, or not on meta."""
    wrong: tuple[str, ...]
    """What the report says wrong, a line each."""
    facts: Facts | None
    seconds: float


def limit_memory() -> None:
    """Lets this process have no more than the bound."""
    with suppress(ValueError, OSError):  # not every system knows such a bound
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


def run(job: Job, say: Callable[[str], None]) -> Checked:
    """Builds one class and checks the report on it, telling `say` what it is about to do."""
    start = time.perf_counter()
    os.environ["HF_HUB_OFFLINE"] = "1"

    def seconds() -> float:
        return time.perf_counter() - start

    say("building")
    why, places, wrong = "", [], []
    facts: Facts | None = None
    try:
        cls = find(job)
        job = job._replace(cls=cls.__name__)
        # What is imported stays: out of the collector's sight, it is not gone through a dozen times for each model.
        gc.collect()
        gc.freeze()
        before = living()
        try:
            model = build(job, cls, "meta")
        except NotBuilt as error:
            why = str(error)
            if "needs " in why or "no default configuration" in why:
                raise
        else:
            places.append("meta")
            say("checking")
            found, facts = check(model, before=before)
            wrong += found
            nbytes = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
            del model
        if not places or nbytes <= REAL_BYTES:
            gc.collect()
            say("building")
            found, real = on_cpu(job, cls, say)
            places.append("cpu")
            wrong += [f"on the CPU, {line}" for line in found if line not in wrong]
            facts = facts or real
            why = why and f"not on meta: {why}"
    except NotBuilt as error:
        if not places:
            return Checked(job, "", why or str(error), (), None, seconds())
        why = f"not on the CPU: {error}"
    gc.collect()
    return Checked(job, " and ".join(places), why, tuple(wrong), facts, seconds())


def on_cpu(job: Job, cls: type, say: Callable[[str], None]) -> tuple[list[str], Facts | None]:
    """The check of a model that has memory, every other parameter of which is frozen."""
    model = build(job, cls, "cpu")
    for parameter in list(model.parameters())[1::2]:
        parameter.requires_grad_(False)
    say("checking")
    wrong, facts = check(model)
    if facts is not None:
        wrong += wrong_moves(model, audit(model))
    return wrong, facts
