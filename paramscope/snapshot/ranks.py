"""What the ranks of a job hold of one model, and where they differ. Nothing is known before it is asked for."""

# NOTE: annotations are evaluated here: typing would compile the text of each, in ten times the time.
from typing import NamedTuple


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

    path: str
    """Of a slot, or of a param group: `optimizer[0].groups[1]`."""
    said: tuple[tuple[tuple[int, ...], str], ...]
    """(ranks, what they say), most ranks first; nothing where they do not have it."""


class Ranks(NamedTuple):
    """The ranks that were asked."""

    records: tuple[RankRecord, ...]
    """By rank."""
    differences: tuple[RankDifference, ...]
    """In the order of the first rank's slots; of very many the first."""
