"""Jobs → results, in worker processes of which any may hang or die."""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

Say = Callable[[str], None]
Task = Callable[[Any, Say], Any]

START_SECONDS = 120.0
"""What a worker may take to start, importing what its task needs."""
SECONDS = 60.0
JOBS_EACH = 50
"""After these a worker makes place for a new one, and what has gathered in it is gone."""


class Lost(NamedTuple):
    """A job of which no result came."""

    job: Any
    phase: str
    """What the worker said last."""
    reason: str


def serve(connection: Connection, task: Task, prepare: Callable[[], None] | None) -> None:
    """Does jobs until none is left."""
    if prepare is not None:
        prepare()
    connection.send(("ready", None))
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        try:
            result = task(job, lambda phase: connection.send(("phase", phase)))
        except Exception as error:  # noqa: BLE001  # of one job; the others go on
            result = Lost(job, "raised", f"{type(error).__name__}: {error}")
        connection.send(("result", result))


class Worker:
    """One process, and the job that it is at."""

    def __init__(self, task: Task, prepare: Callable[[], None] | None, seconds: float) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, task, prepare), daemon=True)
        self.process.start()
        theirs.close()
        self.seconds = seconds
        self.job: Any = None
        self.is_busy = False
        self.phase = "starting"
        self.done = 0
        self.deadline = time.monotonic() + START_SECONDS

    def begin(self, job: Any) -> None:
        """Hands over a job."""
        self.job, self.is_busy, self.phase = job, True, "starting"
        self.deadline = time.monotonic() + self.seconds
        try:
            self.connection.send(job)
        except OSError:  # it died between two jobs, as reading from it will tell
            self.deadline = 0.0

    def end(self) -> int | None:
        """Stops the process; returns its exit code, if it had ended on its own."""
        self.process.join(0.2)
        code = self.process.exitcode
        self.process.kill()
        self.process.join()
        self.connection.close()
        return code


def sweep(
    jobs: Iterable[Any],
    task: Task,
    *,
    prepare: Callable[[], None] | None = None,
    workers: int = 2,
    seconds: float = SECONDS,
    jobs_each: int = JOBS_EACH,
) -> Iterator[Any]:
    """The result of every job, as it comes, or what is known of why there is none.

    task, prepare: what a worker does with a job, and before the first; functions that it can import.
    """
    waiting = deque(jobs)
    team: list[Worker] = []
    try:
        while waiting or team:
            while waiting and len(team) < workers:
                team.append(Worker(task, prepare, seconds))
            timeout = max(0.0, min(worker.deadline for worker in team) - time.monotonic())
            ready = wait([worker.connection for worker in team], timeout)
            for worker in list(team):
                lost = ""
                if worker.connection in ready:
                    try:
                        kind, value = worker.connection.recv()
                    except (EOFError, OSError):
                        kind, value = "died", None
                    if kind == "phase":
                        worker.phase = value
                        continue
                    if kind == "died":
                        lost = f"the worker died (exit code {worker.end()})"
                    elif kind == "result":
                        yield value
                        worker.done += 1
                        worker.is_busy = False
                elif time.monotonic() >= worker.deadline:
                    lost = f"no answer within {seconds:g} s"
                else:
                    continue
                if lost:
                    if not worker.is_busy:
                        raise RuntimeError(f"a worker did not start: {lost}")
                    yield Lost(worker.job, worker.phase, lost)
                if lost or not waiting or worker.done >= jobs_each:
                    team.remove(worker)
                    worker.end()
                else:
                    worker.begin(waiting.popleft())
    finally:
        for worker in team:
            worker.end()
