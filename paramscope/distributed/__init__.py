"""Each rank's snapshot → one that knows of all ranks.

What is exchanged are digests of facts, and the facts themselves only where digests differ. It goes through the store
that the ranks found each other with, not through collectives: no device is touched, a rank that does not come is
named after a while, and one that fails tells the others why. Answers are added up in a tree, so that no rank reads
more than some of them, however many ranks there are.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch.distributed as dist

from paramscope.analysis.across import Rank, Said, below, check, merged, ranks_of, speakers
from paramscope.errors import RanksError
from paramscope.snapshot import Snapshot

_TOLD = 8
"""Ranks that an error names."""
_turns: dict[str, Iterator[int]] = {}
"""Of each group: its ranks call in the same order, as collectives are called, and so count alike."""


def over_ranks(take: Callable[[], Snapshot], ranks: Any, *, gather_to: int | None, timeout: float) -> Snapshot:
    """This rank's snapshot, with what all ranks of a group hold.

    take: makes this rank's own. ranks: True for all, a process group, or a mesh of one dimension. gather_to: the
    rank, as the job numbers it, that alone is told of the others; None for all. timeout: seconds to wait for them.

    Raises RanksError where there is no such group, where ranks do not come, and where one fails; on that rank, what
    `take` raised.
    """
    members, name = _members(ranks)
    if gather_to is not None and gather_to not in members:
        raise RanksError(f"rank {gather_to} is none of {_listed(members)}", "gather_to names a rank of the group.")
    mine = dist.get_rank()
    exchange = _Exchange(f"paramscope/{name}/{next(_turns.setdefault(name, count()))}", mine, members, timeout)
    with exchange.telling_errors():
        snapshot = take()
        rank = Rank(snapshot, mine)
    summary = exchange.sum_up("summary", members, rank.summary)
    check(summary)
    said = exchange.sum_up("in full", speakers(summary), rank.in_full(summary), is_for=gather_to)
    if gather_to not in (None, mine):
        return snapshot
    return snapshot.with_ranks(ranks_of(summary, said))


def started_by_launcher() -> None:
    """Makes the process group of the ranks that torchrun has started, unless it is there. Raises RanksError."""
    if dist.is_available() and not dist.is_initialized():
        if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
            raise RanksError(
                "--ranks: there are no ranks: this process was not started by torchrun",
                "torchrun --nproc-per-node 4 -m paramscope check train.py:build --ranks",
            )
        dist.init_process_group("gloo")


def all_have_come() -> None:
    """Waits until each rank has called it."""
    dist.barrier()


def _members(ranks: Any) -> tuple[list[int], str]:
    """(ranks of a group, as the job numbers them, and what tells it from others). Raises RanksError."""
    if not dist.is_available() or not dist.is_initialized():
        raise RanksError(
            "there are no ranks: no process group is initialized",
            "Call torch.distributed.init_process_group() first, in a script that torchrun starts; without ranks=, "
            "this process is audited by itself.",
        )
    group: Any = None if ranks is True else ranks
    if hasattr(group, "get_group"):
        if getattr(group, "ndim", 1) != 1:
            raise RanksError("a mesh of several dimensions is no group", 'Name one of them: ranks=mesh["dp"].')
        group = group.get_group()
    if group is not None and not isinstance(group, dist.ProcessGroup):
        raise RanksError(
            f"ranks is of class {type(group).__name__}, and no group",
            "Write ranks=True for all ranks, or hand over a process group or a mesh of one dimension.",
        )
    members = sorted(dist.get_process_group_ranks(group or dist.group.WORLD))
    if dist.get_rank() not in members:
        raise RanksError(f"this rank, {dist.get_rank()}, is none of {_listed(members)}", "Ask on ranks of the group.")
    return members, hashlib.blake2b(repr(members).encode(), digest_size=8).hexdigest()


def _listed(ranks: list[int]) -> str:
    more = f" and {len(ranks) - _TOLD} more" if len(ranks) > _TOLD else ""
    noun = "rank" if len(ranks) == 1 else "ranks"
    return f"{noun} {', '.join(map(str, ranks[:_TOLD]))}{more}"


class _Exchange:
    """What ranks tell one another in one audit."""

    def __init__(self, place: str, mine: int, members: list[int], timeout: float) -> None:
        self._store: Any = dist.distributed_c10d._get_default_store()
        self._place, self._mine, self._members = place, mine, members
        self._timeout, self._end = timeout, time.monotonic() + timeout

    @contextmanager
    def telling_errors(self) -> Iterator[None]:
        """What is raised within is also told to the others, who would wait."""
        try:
            yield
        except BaseException as error:
            is_first = self._mine == self._members[0]
            failed = {"failed": {f"{type(error).__name__}: {error}": [[self._mine, self._mine]]}}
            self._put("summary" if is_first else f"summary/{self._mine}", failed)
            self._put(f"came/{self._mine}", "")
            raise

    def sum_up(self, topic: str, members: list[int], said: Said, *, is_for: int | None = None) -> Said:
        """What all members together say of a topic. said: by this rank, which may be none of them. is_for: the rank
        that alone has to know it, None for all; on others what is returned is not complete.

        Raises RanksError where a rank does not come.
        """
        if not members:
            return {}
        self._put(f"came/{self._mine}", "")
        if self._mine in members:
            at = members.index(self._mine)
            for each in below(at, len(members)):
                said = merged((said, self._get(f"{topic}/{members[each]}", members[each])))
                if "failed" in said:
                    break
            self._put(f"{topic}/{self._mine}" if at else topic, said)
        return self._get(topic, members[0]) if is_for in (None, self._mine) else said

    def _put(self, key: str, value: Any) -> None:
        """Lays something where others find it."""
        self._store.set(f"{self._place}/{key}", zlib.compress(json.dumps(value).encode()))

    def _has(self, key: str) -> bool:
        return bool(self._store.check([f"{self._place}/{key}"]))

    def _get(self, key: str, rank: int) -> Any:
        """What a rank lays somewhere. Raises RanksError where it does not come."""
        pause = 0.001
        while not self._has(key):
            if time.monotonic() > self._end:
                missing = [each for each in self._members if not self._has(f"came/{each}")] or [rank]
                raise RanksError(
                    f"{_listed(missing)} did not come within {self._timeout:g} seconds",
                    "Call audit(…, ranks=…) on every rank of the group, and as often on each.",
                )
            time.sleep(pause)
            pause = min(2 * pause, 0.1)
        return json.loads(zlib.decompress(self._store.get(f"{self._place}/{key}")))
