"""What the ranks of a job hold of one model, and where they differ. Nothing is known before it is asked for."""

# NOTE: annotations are evaluated here: typing would compile the text of each, in ten times the time.
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Agreement = Literal["replica", "buffer", "shard", "unbound"]
Compared = Literal[
    "slot", "order", "optimizers", "group", "member", "unheard", "replica", "buffer", "shard", "unbound"
]
Spans = tuple[tuple[int, int], ...]
"""Ranks: the first and the last of each run of them."""


class RankRecord(NamedTuple):
    """What one rank holds itself."""

    rank: int
    """As the whole job numbers it."""
    parameters: int
    """Elements of registered parameters that lie there, each tensor once: of a sharded one, those of its shard."""
    nbytes: int
    """Bytes of all that it holds of the model."""
    slots: int
    """Slots, empty ones included."""


class RankDifference(NamedTuple):
    """One place of which ranks say different things."""

    kind: Compared
    """`slot`: what it holds; `order`: that of all slots; `optimizers`: which ones were handed over; `group`: a param
    group; `member`: the groups of a slot; `unheard`: the DistributedDataParallel that has no hook on its gradient. Of
    values, as `Checksums` has them: `replica`, `buffer`, `shard` (whose bits are alike) and `unbound`, once for all
    slots."""
    path: str
    """Of the slot, or of the group: `optimizer[0].groups[1]`; empty for the order and the optimizers."""
    said: tuple[tuple[Spans, str], ...]
    """(ranks, what they say), most ranks first; nothing where they do not have it. Of values, their checksum."""


class Ranks(NamedTuple):
    """The ranks that were asked."""

    records: tuple[RankRecord, ...]
    """By rank."""
    differences: tuple[RankDifference, ...]
    """In the order of the first rank's slots; of very many the first."""
    parameters: int | None = None
    """Elements of the parameters of all ranks together, those of one path once; None where each has them all."""


class Checksums(NamedTuple):
    """Checksums of the bits of tensors that should agree on some ranks, or should not."""

    kind: Agreement
    """`replica`: parameters that training keeps alike; `buffer`: buffers that each rank keeps for itself; `shard`:
    parts of tensors, which differ unless all of their elements are one; `unbound`: trainable parameters of a model
    that nothing binds to those of other ranks."""
    ranks: tuple[int, ...]
    """As the whole job numbers them."""
    by: str
    """What makes them so: `DistributedDataParallel`, or the dimensions of a mesh."""
    codes: tuple[tuple[str, str], ...]
    """(path, checksum), of each tensor the first path."""


def numbers_in(spans: Iterable[Sequence[int]]) -> list[int]:
    """The ranks themselves, in the order of their spans."""
    return [rank for first, last in spans for rank in range(first, last + 1)]


def spans_of(numbers: list[int]) -> Spans:
    """Rising ranks as spans."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return tuple(found)
