"""Bytes of many things → what training takes: by part, dtype, device and top-level module."""

# NOTE: annotations are evaluated here: typing would compile the text of each, in ten times the time.
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import Literal, NamedTuple

from paramscope.snapshot import StateBytes

COST = "cost"
"""What a snapshot keeps it as, once it was told."""
How = Literal["held", "measured", "estimated", "unknown"]


class Sums(NamedTuple):
    """Bytes, each byte of a storage once; None where they are unknown."""

    parameters: int | None
    """Of registered and hidden parameters."""
    gradients: int | None
    optimizer_state: int | None
    buffers: int | None
    """Of all other tensors that the model has."""
    activations: int | None
    """Kept for backward. Not known by dtype or device."""

    @property
    def total(self) -> int | None:
        """Of what is known; None where the parameters are not."""
        return None if self.parameters is None else sum(each or 0 for each in self)


class Foreseen(NamedTuple):
    """How it is known what an optimizer will keep."""

    optimizer: str
    """Its name."""
    type: str
    """Qualified class name."""
    how: How
    """`held`: all of it is there; `measured`: by a fresh optimizer of its class and options; `estimated`: by that, or
    by a formula, and the real one may differ."""
    why: str
    """Why it is no more than estimated, or unknown; empty otherwise."""


class Cost(NamedTuple):
    """What training takes at one moment, in bytes, each byte of a storage once; None where it is unknown."""

    parameters: int | None
    """Of registered and hidden parameters."""
    gradients: int | None
    """At the first step: of all that is trainable, or, where the model was run, of what the loss reaches."""
    optimizer_state: int | None
    buffers: int | None
    """Of all other tensors that the model has."""
    activations: int | None
    """Kept for backward by the forward that was run."""
    unknown: Mapping[str, str]
    """Why, for each that is None."""
    by_dtype: Mapping[str, Sums]
    by_device: Mapping[str, Sums]
    by_module: Mapping[str, Sums]
    """By the first step of the path, empty for what the root holds itself; by root where there are several."""
    foreseen: tuple[Foreseen, ...]
    """How the state of each optimizer is known. Empty for what there is now."""
    at_first_step: "Cost | None"
    """The same, once the optimizers have stepped for the first time; None of what is that already."""

    @property
    def sums(self) -> Sums:
        """The whole, as the parts are given."""
        return Sums(*self[:5])

    @property
    def total(self) -> int | None:
        """Of what is known; None where the parameters are not."""
        return self.sums.total


class Place(NamedTuple):
    """What some bytes have in common."""

    part: str
    dtype: str | None
    device: str | None
    module: str


class Moment(NamedTuple):
    """Bytes as they are counted."""

    found: Counter[Place]
    unknown: dict[str, str]

    def cost(self, foreseen: tuple[Foreseen, ...] = (), at_first_step: Cost | None = None) -> Cost:
        """All that was counted, by what is asked for."""
        whole = self._sums(self.found.items())
        by_dtype = self._by(lambda place: place.dtype or "unknown", without="activations")
        by_device = self._by(lambda place: place.device or "unknown", without="activations")
        by_module = self._by(lambda place: place.module)
        return Cost(*whole, self.unknown, by_dtype, by_device, by_module, foreseen, at_first_step)

    def _by(self, name_of: Callable[[Place], str], *, without: str = "") -> dict[str, Sums]:
        """Sums by name. without: a part that these names say nothing of."""
        found: dict[str, list[tuple[Place, int]]] = {}
        for place, nbytes in self.found.items():
            if place.part != without:
                found.setdefault(name_of(place), []).append((place, nbytes))
        return {name: self._sums(of, without=without) for name, of in found.items()}

    def _sums(self, found: Iterable[tuple[Place, int]], *, without: str = "") -> Sums:
        counts = Counter[str]()
        for place, nbytes in found:
            counts[place.part] += nbytes
        return Sums(*(None if part in self.unknown or part == without else counts[part] for part in Sums._fields))


class Member(NamedTuple):
    """What parameters have in common for which an optimizer keeps the same."""

    shape: tuple[int, ...]
    dtype: str
    device: str
    has_sparse_gradient: bool

    @property
    def numel(self) -> int:
        """Elements of each."""
        return prod(self.shape)


class Answer(NamedTuple):
    """What the first step of an optimizer will leave."""

    states: tuple[dict[Member, tuple[StateBytes, ...]], ...]
    """For each group, what is kept for each of its members; empty where that is unknown."""
    how: How
    why: str
    """As `Foreseen` has it."""
