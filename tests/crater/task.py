"""The work on one package, as it is done in a process of its own."""

from __future__ import annotations

import gc
import importlib
import inspect
import io
import os
import signal
import time
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import nn

from crater.built import Built, Refused
from crater.classes import classes, full
from crater.guess import arguments, inputs
from crater.look import Looker
from crater.records import Outcome, read
from crater.work import Job

CLASS_SECONDS = 30
"""Of the processor, for constructing a class, or running its forward."""
IMPORT_SECONDS = 300
"""For importing a package, or all its modules."""
HUGE = 30_000_000
"""Elements past which no inputs are guessed for a model that was swept."""


class TooLong(BaseException):
    """A class took too long; no `except Exception` of a package swallows it."""


@contextmanager
def quiet(seconds: float = CLASS_SECONDS) -> Iterator[None]:
    """Without what packages print and warn of, and not for ever; of the processor's time, which a busy machine leaves
    as it is."""

    def ring(*_: Any) -> None:
        raise TooLong

    signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    said = io.StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(said), redirect_stderr(said):
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def run(job: Job, say: Callable[[str], None]) -> Outcome:
    """Builds and audits what there is of one package; keeps the outcome as it grows, lest a crash take all."""
    start = time.perf_counter()
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    folder = Path(job.folder)
    outcome = Outcome(job.name)
    if job.is_resumed:
        outcome = read(folder / f"{job.name}.json")
    before, last = outcome.seconds, outcome.phase

    def keep(phase: str) -> None:
        outcome.seconds = round(before + time.perf_counter() - start, 1)
        outcome.lost = f"lost while {phase}"
        outcome.write(folder)
        say(phase)

    say("importing")
    with quiet(IMPORT_SECONDS):
        package = importlib.import_module(f"crater.packages.{job.name}")
    name = getattr(package, "IMPORT", job.name)
    outcome.distribution = metadata.packages_distributions()[name][0]
    outcome.version = metadata.version(outcome.distribution)
    looker = Looker(outcome, lambda cls: cls.partition(".")[0] == name, getattr(package, "BEFORE", None))
    if not last.startswith("sweeping "):
        for title, build in after(builders(package), last.removeprefix("building "), lambda pair: pair[0]):
            keep(f"building {title}")
            by_hand(looker, title, build)
    gc.collect()
    gc.freeze()
    roots = getattr(package, "ROOTS", (name,))
    with quiet(IMPORT_SECONDS):
        found = classes(roots, outcome.troubles)
    skip = getattr(package, "SKIP", {})
    for cls in after(found, last.removeprefix("sweeping "), full):
        if cls.__name__ in skip:
            outcome.not_built.setdefault(skip[cls.__name__], []).append(cls.__name__)
            continue
        keep(f"sweeping {full(cls)}")
        swept(looker, cls, getattr(package, "HINTS", {}))
    keep("ending")
    outcome.lost = ""
    outcome.write(folder)
    return outcome


def after(things: Sequence[Any], last: str, name: Callable[[Any], str]) -> Sequence[Any]:
    """What comes after the one with a name, which is where the work was lost; all, if there is none."""
    return things[[name(thing) for thing in things].index(last) + 1 :] if last in map(name, things) else things


def builders(package: types.ModuleType) -> list[tuple[str, Callable[[], Any]]]:
    """The public functions that a package's file defines."""
    return [
        (name, thing)
        for name, thing in vars(package).items()
        if inspect.isfunction(thing) and thing.__module__ == package.__name__ and not name.startswith("_")
    ]


def by_hand(looker: Looker, name: str, build: Callable[[], Any]) -> None:
    """What a function of the package's file builds, in every state."""
    looker.begin()
    try:
        with quiet():
            made = build()
        many = made if inspect.isgenerator(made) else iter([made])
        while True:
            with quiet():
                each = next(many, None)
            if each is None:
                return
            if isinstance(each, Refused):
                looker.outcome.troubles.append(f"{name} ({each.name}): {told(each.error)}")
                continue
            built = each if isinstance(each, Built) else Built(each)
            title = f"{name} ({built.name})" if built.name else name
            looker.outcome.built.append(title)
            for top in built.model.values() if isinstance(built.model, dict) else [built.model]:
                known(looker, type(top))
            looker.look(title, built)
            if built.inputs is not None or built.loss is not None or built.step is not None:
                try:
                    with quiet():
                        looker.look_after_a_step(title, built)
                except (Exception, TooLong) as error:  # noqa: BLE001  # the next may do better
                    looker.outcome.troubles.append(f"{title}, a step: {told(error)}")
    except (Exception, TooLong) as error:  # noqa: BLE001  # of one function; the others go on
        looker.outcome.troubles.append(f"{name}: {told(error)}")


def swept(looker: Looker, cls: type, hints: dict[str, Any]) -> None:
    """A class that was found, built with guessed arguments, in every state, with a step if an input can be guessed."""
    not_built = looker.outcome.not_built
    try:
        with quiet():
            looker.begin()
            model = cls(**arguments(cls, hints))
    except LookupError as error:
        not_built.setdefault("an argument that is not guessed", []).append(f"{cls.__name__} ({str(error)[:40]})")
        return
    except (Exception, TooLong) as error:  # noqa: BLE001
        not_built.setdefault("it raises with guessed arguments", []).append(f"{cls.__name__} ({told(error)[:60]})")
        return
    if "_modules" not in vars(model):
        not_built.setdefault("it does not call Module's __init__", []).append(cls.__name__)
        return
    known(looker, cls)
    looker.look(full(cls), Built(model), is_shown=False)
    if sum(p.numel() for p in model.parameters() if not nn.parameter.is_lazy(p)) > HUGE:
        return
    for given in inputs(model):
        try:
            with quiet():
                model(*given)
        except (Exception, TooLong):  # noqa: BLE001  # a guess that is wrong
            continue
        try:
            with quiet():
                looker.begin()
                fresh = Built(cls(**arguments(cls, hints)), given)
                looker.look_after_a_step(full(cls), fresh)
        except (Exception, TooLong):  # noqa: BLE001  # its backward, or its second construction
            continue
        return


def known(looker: Looker, cls: type) -> None:
    """Notes a class that is audited itself."""
    name = full(cls)
    if looker.is_ours(name) and name not in looker.outcome.roots:
        looker.outcome.roots.append(name)


def told(error: BaseException) -> str:
    """What was raised, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
