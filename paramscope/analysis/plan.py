"""A mesh of ranks and a tensor → the piece that each rank holds: by `fully_shard`, tensor parallelism, or both."""

# NOTE: annotations are evaluated here: typing would compile the text of each, in ten times the time.
from bisect import bisect
from collections.abc import Iterable, Mapping
from math import prod
from typing import NamedTuple

from paramscope.analysis.cost import Foreseen
from paramscope.errors import MeshError, nearest

DIMENSIONS = ("replicate", "fsdp", "tp")
MOST_RANKS = 2**20
Shape = tuple[int, ...]


class Mesh(NamedTuple):
    """How ranks are laid out."""

    sizes: tuple[tuple[str, int], ...]
    """Each dimension by its name, the outermost first: the last changes from one rank to the next."""

    @property
    def ranks(self) -> int:
        """How many there are."""
        return prod(size for _, size in self.sizes)

    def size(self, name: str) -> int:
        """Of a dimension; 1 of one that it does not have."""
        return dict(self.sizes).get(name, 1)

    def coordinate(self, rank: int, name: str) -> int:
        """Where a rank stands along a dimension. Raises MeshError for a rank that there is not."""
        if not 0 <= rank < self.ranks:
            raise MeshError(f"there is no rank {rank}", f"Ranks are 0 to {self.ranks - 1}.")
        for each, size in reversed(self.sizes):
            rank, index = divmod(rank, size)
            if each == name:
                return index
        return 0

    def rank_at(self, fsdp: int, tp: int) -> int:
        """The first rank that stands there along two dimensions."""
        rank, at = 0, {"fsdp": fsdp, "tp": tp}
        for name, size in self.sizes:
            rank = rank * size + at.get(name, 0)
        return rank


def parse_mesh(words: str) -> Mesh:
    """`replicate=2,fsdp=32,tp=8`. Raises MeshError."""
    sizes: dict[str, int] = {}
    for word in words.split(","):
        name, _, size = (part.strip() for part in word.partition("="))
        if name not in DIMENSIONS:
            near = nearest(name, DIMENSIONS)
            known = f"Write sizes of {', '.join(DIMENSIONS)}: fsdp=64,tp=8."
            raise MeshError(
                f"there is no mesh dimension {name!r}", f"Did you mean {near[0]}? {known}" if near else known
            )
        if name in sizes:
            raise MeshError(f"{name} is given twice", "Keep one of them.")
        if not (size.isascii() and size.isdigit() and 1 <= len(size) <= 9 and int(size)):
            raise MeshError(f"{name}={size} is no number of ranks", f"Write a whole number from 1 on: {name}=8.")
        sizes[name] = int(size)
    mesh = Mesh(tuple(sizes.items()))
    if [name for name in sizes if name != "tp"] == ["fsdp", "replicate"]:
        raise MeshError(
            "replicate stands within fsdp", f"Write it first: replicate={sizes['replicate']},fsdp={sizes['fsdp']}."
        )
    if mesh.ranks > MOST_RANKS:
        raise MeshError(f"{words} are {mesh.ranks:,} ranks", f"Up to {MOST_RANKS:,} can be planned.")
    return mesh


class Split(NamedTuple):
    """How tensor parallelism cuts a parameter."""

    dim: int
    parts: int = 1
    """How many parts lie behind each other along it, each of which is cut: gate and up in one weight are two."""


_OUTPUT, _INPUT = -2, -1
STYLES: Mapping[str, tuple[int, int] | None] = {
    **dict.fromkeys(("replicate", "replicated_with_grad_allreduce", "sequence_parallel", "all_reduce"), None),
    **dict.fromkeys(("local_params", "mla_kv_a_proj", "moe_tp_experts", "moe_identity_expert"), None),
    **dict.fromkeys(("colwise", "colwise_rep", "colwise_gather_output", "embedding_rowwise"), (_OUTPUT, 1)),
    **dict.fromkeys(("rowwise", "rowwise_rep", "rowwise_split_input", "embedding_colwise"), (_INPUT, 1)),
    "packed_colwise": (_OUTPUT, 2),
    "packed_rowwise": (_INPUT, 2),
}
"""What the styles of transformers 5 cut: a dimension of weights, from the last one, and in how many parts it lies;
None for those that cut no parameter."""


def split_of(style: str, name: str, ndim: int) -> Split | None:
    """How one of these styles cuts a parameter; None where it leaves it whole.

    name: the last step of its path. ndim: its dimensions.
    """
    cut = STYLES[style]
    if cut is None or ndim == 0:
        return None
    dim, parts = cut
    # What is added once all ranks have contributed.
    if dim == _INPUT and (name == "bias" or (ndim == 1 and parts > 1)):
        return None
    return Split(max(ndim + dim, 0), parts if ndim > 1 else 1)


def piece(size: int, ranks: int, index: int) -> int:
    """What one of several ranks holds of a dimension, as `torch.chunk` and DTensor's `Shard` cut it: the first ones
    as much as fits evenly, rounded up, the last ones less or nothing."""
    chunk = -(-size // ranks)
    return max(0, min(chunk, size - chunk * index))


def turns(size: int, ranks: int) -> set[int]:
    """The indices from which on ranks hold another piece than those before."""
    chunk = max(1, -(-size // ranks))
    return {index for index in (0, size // chunk, -(-size // chunk)) if index < ranks}


class Placed(NamedTuple):
    """How one parameter, or several alike, is cut."""

    shape: Shape
    split: Split | None
    is_sharded: bool
    """Whether `fully_shard` cuts the first dimension, of what tensor parallelism has left on a rank."""
    itemsize: int | None
    """Bytes of an element; None where they are not known."""

    def parts(self) -> list[int]:
        """Sizes of what tensor parallelism cuts along its dimension."""
        if self.split is None:
            return []
        size = self.shape[self.split.dim]
        return [piece(size, self.split.parts, part) for part in range(self.split.parts)]

    def after_tp(self, mesh: Mesh, tp: int) -> Shape:
        """The shape that `fully_shard` finds on a rank."""
        if self.split is None:
            return self.shape
        dim, ranks = self.split.dim, mesh.size("tp")
        return (*self.shape[:dim], sum(piece(part, ranks, tp) for part in self.parts()), *self.shape[dim + 1 :])

    def local(self, mesh: Mesh, fsdp: int, tp: int) -> Shape:
        """The shape that a rank holds, by where it stands."""
        shape = self.after_tp(mesh, tp)
        if not self.is_sharded:
            return shape
        # Of what has no elements fully_shard leaves no row, either.
        return (piece(shape[0], mesh.size("fsdp"), fsdp) if all(shape) else 0, *shape[1:])

    def nbytes(self, mesh: Mesh, fsdp: int, tp: int) -> int:
        """What that takes, in bytes, of what is known."""
        return (self.itemsize or 0) * prod(self.local(mesh, fsdp, tp))


class Stretches(NamedTuple):
    """Where ranks begin to hold other pieces than those before them."""

    fsdp: tuple[int, ...]
    tp: tuple[int, ...]

    @classmethod
    def of(cls, mesh: Mesh, placements: Iterable[Placed]) -> "Stretches":
        """Of all that is placed."""
        alike = set(placements)
        along_tp = {0}.union(*(turns(part, mesh.size("tp")) for each in alike for part in each.parts()))
        rows = {each.after_tp(mesh, tp)[0] for each in alike if each.is_sharded for tp in along_tp}
        along_fsdp = {0}.union(*(turns(size, mesh.size("fsdp")) for size in rows))
        return cls(tuple(sorted(along_fsdp)), tuple(sorted(along_tp)))


class Load(NamedTuple):
    """Bytes on a rank at the first step; None where they are unknown."""

    parameters: int | None
    gradients: int | None
    optimizer_state: int | None
    buffers: int | None
    padding: int | None
    """With which `fully_shard` makes all shards of a parameter as large as the first."""

    @property
    def total(self) -> int | None:
        """Of what is known; None where the parameters are not."""
        return None if self.parameters is None else sum(each or 0 for each in self)


class Held(NamedTuple):
    """What some ranks hold."""

    load: Load
    ranks: int
    """How many there are of them."""
    first: int
    """The first of them."""


class Plan(NamedTuple):
    """What a mesh puts on each of its ranks."""

    mesh: Mesh
    whole: Load
    """Without a mesh."""
    stretches: Stretches
    by_stretch: Mapping[tuple[int, int], Held]
    """What ranks hold that stand between two beginnings along `fsdp` and `tp`."""
    placements: Mapping[str, Placed]
    """Of every parameter, by its first path."""
    doubts: Mapping[str, str]
    """Why tensor parallelism leaves a parameter whole that its plan may mean to cut, by the same path."""
    unknown: Mapping[str, str]
    """Why, for each part of a load that is None."""
    foreseen: tuple[Foreseen, ...]
    """How the state of each optimizer is known."""

    @property
    def held(self) -> tuple[Held, ...]:
        """What the ranks hold, the most bytes first."""
        alike: dict[Load, list[Held]] = {}
        for each in self.by_stretch.values():
            alike.setdefault(each.load, []).append(each)
        found = [
            Held(load, sum(each.ranks for each in of), min(each.first for each in of)) for load, of in alike.items()
        ]
        return tuple(sorted(found, key=lambda each: (-(each.load.total or 0), each.first)))

    def on(self, rank: int) -> Load:
        """What one rank holds. Raises MeshError for a rank that there is not."""
        fsdp, tp = (
            starts[bisect(starts, self.mesh.coordinate(rank, name)) - 1]
            for name, starts in zip(Stretches._fields, self.stretches, strict=True)
        )
        return self.by_stretch[fsdp, tp].load

    def shapes(self, rank: int) -> dict[str, Shape]:
        """The shape of what one rank holds of each parameter, by its first path. Raises MeshError, as `on` does."""
        fsdp, tp = (self.mesh.coordinate(rank, name) for name in Stretches._fields)
        return {path: each.local(self.mesh, fsdp, tp) for path, each in self.placements.items()}
