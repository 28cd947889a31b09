"""What a TARGET is built with and how it is run, and all that comes of it: a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from paramscope.errors import ParamscopeError, RunError, TargetError, nearest

if TYPE_CHECKING:
    from paramscope.config import Config, DeclaredModel
    from paramscope.snapshot import Snapshot

Waiting = Callable[..., AbstractContextManager[Callable[[int, int], None]]]
"""Is given what is done, and perhaps why it may take long, and entered while it is; gives what may be called with how
much of it is done, and of how much."""
RANKS_TIMEOUT = 60.0
"""Seconds that ranks wait for one another."""
_TRAINS = "; if it trains on import, put that under `if __name__ == '__main__':`"
"""The likeliest reason why an import does not end."""


def _unsaid(*_: str) -> AbstractContextManager[Callable[[int, int], None]]:
    return nullcontext(lambda done, total: None)


class Building(NamedTuple):
    """What is asked for, as the options of a command line."""

    optimizers: tuple[str, ...] = ()
    """TARGETs of what makes an optimizer for the model."""
    arguments: dict[str, Any] = {}  # noqa: RUF012  # nobody writes into it
    """Keyword arguments for the target and for these."""
    meta: bool = False
    """Whether it is built on the meta device."""
    run: str | None = None
    """What is run of it; None for nothing, or, where there are inputs, for `graph`."""
    inputs: str | None = None
    """TARGET of what forward is given."""
    sizes: str | None = None
    """Sizes of what forward is given."""
    loss: str | None = None
    """TARGET of a function that makes a scalar of the output."""
    ranks: bool = False
    """Whether the ranks of the job that torchrun starts are asked together."""

    @property
    def is_run(self) -> bool:
        """Whether anything is run."""
        return any(each is not None for each in (self.run, self.inputs, self.sizes, self.loss))

    def as_options(self) -> list[str]:
        """The options as a command line has them."""
        single = {"--run": self.run, "--inputs": self.inputs, "--input-size": self.sizes, "--loss": self.loss}
        return [
            *(each for optimizer in self.optimizers for each in ("-O", optimizer)),
            *(each for name, value in self.arguments.items() for each in ("--arg", f"{name}={value!r}")),
            *(["--meta"] if self.meta else []),
            *(["--ranks"] if self.ranks else []),
            *(each for name, said in single.items() if said is not None for each in (name, said)),
        ]


NOTHING = Building()
"""Of a saved report."""


class Subject(NamedTuple):
    """One model that is asked about."""

    name: str
    """What it is called: its TARGET, or what a pyproject.toml calls it."""
    target: str
    building: Building
    base: Path
    """The folder that relative paths start from."""
    declared: DeclaredModel | None = None
    """None where it is named by a TARGET."""


def subject_of(word: str, given: Building, config: Callable[[], Config]) -> Subject:
    """What a word of a command line stands for: a TARGET, or else the name of a declared model.

    What has a colon, a file that exists, and a dotted name that can be imported are no names of models, whatever is
    declared. config: what declares them, read only where a name is possible. Raises TargetError, ConfigError.
    """
    from paramscope.load.importing import is_importable
    from paramscope.load.naming import names_file

    here = Path.cwd()
    named = Subject(word, word, given, here)
    if ":" in word or (here / word).is_file() or ("." in word and is_importable(word, here)):
        return named
    known = config()
    found = known.model(word)
    if found is not None:
        return declared_subject(found, given)
    near = nearest(word, [model.name for model in known.models], n=1)
    if near and not names_file(word) and not is_importable(word, here):
        raise TargetError(f"{known.at.of('models')}: there is no model {word!r}", f"Did you mean {near[0]}?")
    return named


def declared_subject(model: DeclaredModel, given: Building = NOTHING) -> Subject:
    """A model as it is declared, but for what is given besides: that takes the place of what is declared."""
    base = model.at.source.folder
    inputs = given if given.inputs or given.sizes else model
    building = Building(
        tuple(_from(base, each) for each in given.optimizers) or model.optimizers,
        {**dict(model.arguments), **given.arguments},
        given.meta or model.meta,
        given.run or model.run,
        inputs.inputs if inputs is model or not given.inputs else _from(base, given.inputs),
        inputs.sizes,
        _from(base, given.loss) if given.loss else model.loss,
        given.ranks,
    )
    return Subject(model.name, model.target, building, base, model)


def _from(base: Path, target: str) -> str:
    """A TARGET whose path starts from the working directory, for where paths start from another folder."""
    from paramscope.load.naming import names_file

    place, _, attribute = target.rpartition(":")
    if base == Path.cwd() or not names_file(place):
        return target
    return f"{Path.cwd() / place}:{attribute}"


def look(subject: Subject, *, values: bool = False, waiting: Waiting = _unsaid) -> Snapshot:
    """What is in a model, and what a run of it shows, where one was asked for.

    values: whether the elements of tensors are read, too. waiting: is entered with what is done, and perhaps why it
    takes long. Raises TargetError, and RunError.
    """
    model, optimizer = build(subject, waiting)
    take = partial(_seen, subject, model, optimizer, values, waiting)
    if not subject.building.ranks:
        return take()
    from paramscope.distributed import over_ranks, started_by_launcher

    with _placed(subject), waiting(f"asking all ranks of {subject.name}"):
        started_by_launcher()
        return over_ranks(take, ranks=True, gather_to=None, timeout=RANKS_TIMEOUT)


def _seen(subject: Subject, model: Any, optimizer: Any, values: bool, waiting: Waiting) -> Snapshot:  # noqa: FBT001
    from paramscope.api import capture

    building = subject.building
    if not building.is_run:
        with _placed(subject), waiting(f"auditing {subject.name}") as progress:
            return capture(model, optimizer=optimizer, values=values, progress=progress)
    from paramscope.load.target import load_beside, surroundings
    from paramscope.probe import snapshot_of_run
    from paramscope.probe.sizes import maker, parse_sizes

    if building.inputs and building.sizes:
        raise RunError("--inputs and --input-size both say what forward is given", "Leave one of them out.")
    found: dict[str, Any] = {}
    for key, word in (("inputs", building.inputs), ("loss", building.loss)):
        with _placed(subject, key):
            found[key] = load_beside(word, subject.target, subject.base) if word else None
    if building.sizes is not None:
        with _placed(subject, "input-size"):
            option = "input-size" if subject.declared else "--input-size"
            found["inputs"] = maker(parse_sizes(building.sizes, option), model)
    # What asked for the run: the first of these that is declared.
    asked = {"run": building.run, "inputs": building.inputs, "input-size": building.sizes, "loss": building.loss}
    by = next((key for key, word in asked.items() if word is not None), "target")
    surrounded = surroundings(subject.target, subject.base)
    with _placed(subject, by), waiting(f"running {subject.name}") as progress, surrounded:
        return snapshot_of_run(
            model, optimizer, values=values, run=building.run or "graph", progress=progress, **found
        )


def build(subject: Subject, waiting: Waiting = _unsaid) -> tuple[Any, Any]:
    """(model, optimizer) as `audit` takes them. Raises TargetError."""
    from paramscope.load.target import check_makers, import_target, load_target

    target, building, base = subject.target, subject.building, subject.base
    with _placed(subject, "target"), waiting(f"importing {target.rpartition(':')[0] or target}", _TRAINS):
        if target.endswith(".json"):
            raise TargetError(f"{target} names no code that builds a model", "Name it: path/model.py:build.")
        import_target(target, base)
    if subject.declared is not None:  # which has a place for what is wrong with them
        for at, maker in enumerate(building.optimizers):
            with _placed(subject, "optimizer", at):
                check_makers(target, [maker], base)
    with waiting(f"building {subject.name}"):
        built = load_target(
            target,
            building.optimizers,
            arguments=building.arguments,
            meta=building.meta,
            base=lambda _: base,
            within=partial(_placed, subject),
        )
    optimizers = built.made if built.optimizer is None else (built.optimizer, *built.made)
    return built.model, optimizers if len(optimizers) > 1 else next(iter(optimizers), None)


@contextmanager
def _placed(subject: Subject, *keys: str | int) -> Iterator[None]:
    """Errors of a declared model say where it is declared, and which it is."""
    try:
        yield
    except ParamscopeError as error:
        if subject.declared is None:
            raise
        problem = f"{subject.declared.at.of(*keys)}: {subject.name}: {error.problem}"
        raise type(error)(problem, error.advice, detail=error.detail) from None
