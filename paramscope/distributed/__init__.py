"""Each rank's snapshot → one that knows of all ranks.

What is exchanged are digests of facts, and the facts themselves only where digests differ. It goes through the store
that the ranks found each other with, not through collectives: no device is touched, a rank that does not come is
named after a while, and one that fails tells the others why.
"""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch.distributed as dist

from paramscope.analysis.across import differences, digest, record_of, said_by
from paramscope.analysis.totals import count_totals
from paramscope.errors import RanksError
from paramscope.snapshot import RankRecord, Ranks, Snapshot
from paramscope.version import __version__

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
        totals = count_totals(snapshot)
        held = totals.parameters if totals.local is None else totals.local
        record, said = record_of(snapshot, mine, held, totals.nbytes), said_by(snapshot)
        code = digest(said)
    exchange.put(str(mine), {"record": record, "digest": code, "version": __version__})
    answers = exchange.answers()
    alike: dict[str, list[int]] = {}
    for rank, answer in answers.items():
        alike.setdefault(answer["digest"], []).append(rank)
    if len(alike) > 1 and alike[code][0] == mine:
        exchange.put(code, said)
    if gather_to not in (None, mine):
        return snapshot
    told = [(found, said if each == code else exchange.get(each, found[0])) for each, found in alike.items()]
    records = tuple(RankRecord(*answers[rank]["record"]) for rank in members)
    return snapshot.with_ranks(Ranks(records, differences(told) if len(told) > 1 else ()))


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
            self.put(str(self._mine), {"error": f"{type(error).__name__}: {error}"})
            raise

    def put(self, key: str, value: Any) -> None:
        """Lays something where others find it."""
        self._store.set(f"{self._place}/{key}", zlib.compress(json.dumps(value).encode()))

    def get(self, key: str, rank: int) -> Any:
        """What a rank has laid somewhere. Raises RanksError where it does not come."""
        self._wait({rank: key})
        return json.loads(zlib.decompress(self._store.get(f"{self._place}/{key}")))

    def answers(self) -> dict[int, dict[str, Any]]:
        """What each rank has told. Raises RanksError where one does not come, has failed, or has another version."""
        self._wait({rank: str(rank) for rank in self._members})
        found = {rank: self.get(str(rank), rank) for rank in self._members}
        failed = {rank: answer["error"] for rank, answer in found.items() if "error" in answer}
        if failed:
            raise RanksError(f"the audit failed on {_listed(sorted(failed))}: {failed[min(failed)]}")
        versions = {answer["version"] for answer in found.values()}
        if len(versions) > 1:
            raise RanksError(f"ranks have different versions of paramscope: {', '.join(sorted(versions))}")
        return found

    def _wait(self, keys: dict[int, str]) -> None:
        missing, pause = dict(keys), 0.001
        while True:
            missing = {rank: key for rank, key in missing.items() if not self._store.check([f"{self._place}/{key}"])}
            if not missing:
                return
            if time.monotonic() > self._end:
                raise RanksError(
                    f"{_listed(sorted(missing))} did not come within {self._timeout:g} seconds",
                    "Call audit(…, ranks=…) on every rank of the group, and as often on each.",
                )
            time.sleep(pause)
            pause = min(2 * pause, 0.1)
