"""Parameters that meet in memory: exactly, or in some of their elements; and how a finding names them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple, TypeVar

from paramscope import source
from paramscope.analysis.overlap import Budget
from paramscope.analysis.sharing import connected
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import placeholders
from paramscope.rules.once import once
from paramscope.rules.rule import Problem, Undecided
from paramscope.snapshot import HAS_GRAD, NO_SUCH_SLOTS, PARAMETER, REQUIRES_GRAD, SharingKind
from paramscope.snapshot.memory import Span
from paramscope.snapshot.path import numberless
from paramscope.snapshot.spans import Layout

T = TypeVar("T")

_ASKED = 4
"""Slots of one finding whose lines are looked for."""


class Group(NamedTuple):
    """Registered parameters that meet in memory: two tensors at least."""

    tensors: tuple[tuple[int, ...], ...]
    """For each tensor the positions of the slots that hold it as a parameter, in the model's order."""

    def paths(self, facts: Facts) -> tuple[str, ...]:
        """A path for each tensor, and the further ones of those that are tied."""
        first = [slots[0] for slots in self.tensors]
        return tuple(facts.paths([*first, *chain.from_iterable(slots[1:] for slots in self.tensors)]))

    @property
    def names(self) -> str:
        """The placeholders of one path for each tensor, as a sentence lists them."""
        return placeholders(len(self.tensors))


def registered_parameters(facts: Facts, slots: Iterable[int]) -> dict[int, list[int]]:
    """Of some slots those that are registered parameters, by tensor.

    Without what a hook or FSDP makes anew of others: it lies wherever they do.
    """
    holds, tensors = facts.snapshot.slot_columns.holds, facts.snapshot.slot_columns.tensors
    found: dict[int, list[int]] = {}
    for slot in slots:
        tensor = tensors[slot]
        if tensor >= 0 and holds[slot] == PARAMETER and facts.snapshot.is_registered(slot):
            found.setdefault(tensor, []).append(slot)
    return {tensor: held for tensor, held in found.items() if tensor not in facts.recomputed_tensors}


def slots_in(facts: Facts, kind: SharingKind) -> Iterator[list[int]]:
    """For each fact of one kind, the positions of the slots that take part."""
    for record in facts.snapshot.sharing:
        if record.kind == kind:
            yield facts.slots.positions(record.slots)


def place_of(facts: Facts, tensor: int) -> tuple[tuple[int, Layout], ...]:
    """Which bytes a tensor reaches, and in which order, whatever storages lie over that memory."""
    return tuple((span.memory, span.layout) for span in facts.spans(tensor))


@once
def aliased(facts: Facts) -> list[Group]:
    """Parameters that occupy exactly the same memory, with all that they are made of."""
    met: dict[Group, None] = {}
    for slots in slots_in(facts, "aliased"):
        alike: dict[tuple[tuple[int, Layout], ...], list[list[int]]] = {}
        for tensor, held in registered_parameters(facts, slots).items():
            alike.setdefault(place_of(facts, tensor), []).append(held)
        for group in alike.values():
            if len(group) > 1:
                met[_group(group)] = None
    return list(met)


def by_storage(facts: Facts, group: Group) -> list[Group]:
    """The tensors of a group that view the same storage object; those that share it with none are left out."""
    found: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for slots in group.tensors:
        storages = tuple(span.storage for span in facts.spans(_tensor(facts, slots)))
        found.setdefault(storages, []).append(slots)
    return [Group(tuple(alike)) for alike in found.values() if len(alike) > 1]


def has_several_storages(facts: Facts, group: Group) -> bool:
    """Whether what meets there is known to torch as several storages."""
    return len({span.storage for slots in group.tensors for span in facts.spans(_tensor(facts, slots))}) > 1


def overlapping(facts: Facts, *, within_storages: bool) -> Iterator[Group | Undecided]:
    """Parameters that hang together by shared elements and do not all lie in one place.

    within_storages: only those over one storage; else those over memory that several storages map.
    """
    budget = Budget()
    for slots in _meeting_slots(facts):
        held = registered_parameters(facts, slots)
        if len(held) < 2:
            continue
        parts: dict[int, list[tuple[int, Span]]] = {}
        for tensor in held:
            spans = facts.spans(tensor)
            # Of several parts, some (a table of values, say) may well be common to all tensors of a kind.
            if len(spans) == 1:
                parts.setdefault(spans[0].storage if within_storages else 0, []).append((tensor, spans[0]))
        for members in parts.values():
            yield from _hanging_together(facts, members, held, budget)


def _hanging_together(
    facts: Facts, members: list[tuple[int, Span]], held: dict[int, list[int]], budget: Budget
) -> Iterator[Group | Undecided]:
    groups, undecided = meeting(((span.layout, tensor) for tensor, span in members), budget)
    for group in groups:
        if len({layout for layout, _ in group}) > 1:
            yield _group([held[tensor] for _, tensor in group])
    if undecided:
        path = facts.slots.path_at(min(held[tensor][0] for tensor, _ in members))
        yield Undecided(f"whether parameters over the storage of {path} have elements in common was not decided")


def meeting(members: Iterable[tuple[Layout, T]], budget: Budget) -> tuple[list[list[tuple[Layout, T]]], bool]:
    """(what hangs together by shared bytes in one memory, whether some of it was not decided)."""
    at: dict[Layout, list[tuple[Layout, T]]] = {}
    for member in members:
        at.setdefault(member[0], []).append(member)
    layouts = sorted(at)
    groups, undecided = connected(layouts, budget)
    return [[member for i in group for member in at[layouts[i]]] for group in groups], bool(undecided)


def _meeting_slots(facts: Facts) -> Iterator[list[int]]:
    """Slots that overlap, or of which capture could not tell."""
    doubtful: set[int] = set()
    tensors = facts.snapshot.slot_columns.tensors
    for note in facts.snapshot.notes:
        if note.kind == "overlap":
            doubtful.update(span.memory for span in facts.spans(tensors[facts.slots.position(note.path)]))
    for slots in slots_in(facts, "overlapping"):
        if doubtful.isdisjoint(span.memory for span in facts.spans(tensors[slots[0]])):
            yield slots
    if doubtful:
        over: dict[int, list[int]] = {}
        for slot, tensor in enumerate(tensors):
            for memory in {span.memory for span in facts.spans(tensor)} & doubtful if tensor >= 0 else ():
                over.setdefault(memory, []).append(slot)
        yield from over.values()


def _group(tensors: Iterable[Sequence[int]]) -> Group:
    return Group(tuple(sorted(map(tuple, tensors))))


def _tensor(facts: Facts, slots: Sequence[int]) -> int:
    return facts.snapshot.slot_columns.tensors[slots[0]]


def is_trainable(facts: Facts, slots: Sequence[int]) -> bool:
    """Whether the tensor that some slots hold requires grad."""
    return bool(facts.snapshot.tensor_columns.flags[_tensor(facts, slots)] & REQUIRES_GRAD)


def is_quiet(facts: Facts, slots: Sequence[int]) -> bool:
    """Whether no step changes the tensor that some slots hold: it is frozen, and no optimizer has an old gradient of
    it."""
    tensors, tensor = facts.snapshot.tensor_columns, _tensor(facts, slots)
    flags = tensors.flags[tensor]
    is_held = bool(facts.snapshot.interned.memberships[tensors.memberships[tensor]])
    return not flags & REQUIRES_GRAD and not (flags & HAS_GRAD and is_held)


def is_on_meta(facts: Facts, group: Group) -> bool:
    """Whether none of these tensors has memory of its own yet."""
    specs, of_tensor = facts.snapshot.interned.specs, facts.snapshot.tensor_columns.specs
    return all(specs[of_tensor[_tensor(facts, slots)]].device == "meta" for slots in group.tensors)


def is_yet_to_be_tied(facts: Facts, group: Group) -> bool:
    """Whether these are on meta, and the model says that they are one, or says of ties what cannot be read.

    accelerate's `init_empty_weights` makes a Parameter of its own for each name, until `tie_weights()` is called.
    """
    if not is_on_meta(facts, group):
        return False
    paths = set(group.paths(facts))
    for tie in facts.snapshot.declared_ties:
        if tie.undecided is not None and tie.undecided != NO_SUCH_SLOTS:
            above = tie.module + "." if tie.module else ""
            if all(path.startswith(above) for path in paths):
                return True
        if any(paths.issuperset(pair) for pair in tie.pairs):
            return True
    return False


def problem(
    facts: Facts,
    paths: tuple[str, ...],
    message: str,
    instead: str,
    *,
    is_frozen: bool = False,
    alike: Hashable = None,
) -> Problem:
    """What a rule says of Parameters that meet in memory.

    is_frozen: whether no step changes any of them; then `instead` is how it goes on that nothing need be done.
    """
    if is_frozen:
        instead = f"As long as nothing trains them, nothing need be done{instead}"
    return Problem(
        paths,
        message,
        instead,
        Severity.INFO if is_frozen else None,
        blame=last_assigned(facts, paths, "alias"),
        alike=alike,
        cause="alias",
        is_apart=True,
    )


def last_assigned(facts: Facts, paths: Sequence[str], cause: source.causes.Cause = "any") -> str:
    """Of some slots, or modules, the one whose assignment caused it: where several can have, the last one, which was
    given what the others had."""
    asked = paths[:_ASKED]
    # Which of them it is, is the same for all siblings.
    key = "last", cause, numberless("\n".join(asked))
    return paths[facts.once(key, lambda: _last(facts, asked, cause))]


def _last(facts: Facts, paths: Sequence[str], cause: source.causes.Cause) -> int:
    places: list[tuple[source.causes.Fit, str, int, int]] = []
    for at, path in enumerate(paths):
        best = source.blame.locate_cause(facts.snapshot, path, cause).assignments[:1]
        places.extend((source.causes.fit(found, cause), found.file, found.line, at) for found in best)
    surest = max((place[0] for place in places), default=source.causes.Fit.NO)
    places = [place for place in places if place[0] is surest]
    if not places or len({file for _, file, _, _ in places}) > 1:
        return 0
    return max(places)[3]
