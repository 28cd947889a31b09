"""Modules that are copies by name, or by being frozen, and yet hold trained tensors of what they are copies of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from paramscope import text
from paramscope.rules.facts import Facts
from paramscope.rules.once import all_once
from paramscope.rules.places import parameters_below
from paramscope.rules.sharing._memory import slots_in
from paramscope.snapshot import PARAMETER, REQUIRES_GRAD, join
from paramscope.snapshot.path import heads, is_at_or_below, last_name, parent

_COPY = frozenset(
    {
        *("target", "targ", "ema", "teacher", "momentum", "best", "old", "prev", "previous", "reference", "ref"),
        *("slow", "swa", "polyak", "shadow", "average", "averaged", "avg", "backup", "snapshot", "lagged", "delayed"),
    }
)
"""Words by which people call what is kept beside the thing that trains."""
_THINGS = frozenset(
    {
        *("net", "nets", "network", "networks", "model", "models", "module", "policy", "actor", "critic", "agent"),
        *("encoder", "decoder", "backbone", "generator", "discriminator", "predictor", "projector", "head", "unet"),
        *("q", "qf", "v", "vf", "value", "function", "copy", "weights", "params", "lm", "student", "online"),
    }
)
"""What such a word may stand beside: `target_net`, but not `reference_points`."""
_OTHER_SIDE = frozenset({"source", "src", "input", "query", "anchor", "search", "exemplar", "probe", "candidate"})
"""Beside one of these, a target is no copy but the other one of two."""
_NEIGHBOURS = frozenset({"prev", "previous", "old"})
"""Words that also say which one of a row it is: a copy stands beside what it is a copy of."""
_EQUALS = frozenset({"branch", "branches", "stream", "streams", "tower", "towers", "arm", "side", "half", "view"})
"""What stands beside others of its kind: neither of two branches is a copy of the other."""
_EMBEDDINGS = ("torch.nn.modules.sparse.Embedding", "torch.nn.modules.sparse.EmbeddingBag")


class Copy(NamedTuple):
    """A module that is no copy, or not in all that it holds."""

    path: str
    original: str
    """Path of what it shares trained tensors with."""
    shared: int
    """Tensors that it shares."""
    held: int
    """Tensors of parameters that it holds."""
    is_named: bool
    """Whether its name says that it is a copy; else that it is frozen but for these."""


@all_once
def copies(facts: Facts) -> Iterator[Copy]:
    """In the model's order."""
    tied = list(_tied(facts))
    named = list(_named(facts, tied))
    yield from named
    below = tuple(each.path for each in named)
    for copy in _frozen(facts, tied):
        if not any(is_at_or_below(copy.path, path) or is_at_or_below(copy.original, path) for path in below):
            yield copy


def _tied(facts: Facts) -> Iterator[list[str]]:
    """Paths of one trained parameter of a module that stands in several places."""
    repeats = facts.snapshot.module_columns.repeats
    if not repeats:
        return
    slots, flags = facts.snapshot.slot_columns, facts.snapshot.tensor_columns.flags
    for positions in slots_in(facts, "tied"):
        if not flags[slots.tensors[positions[0]]] & REQUIRES_GRAD:
            continue
        # Modules that were tied parameter by parameter were tied on purpose.
        by_owner: dict[int, list[str]] = {}
        for slot in positions:
            if slots.holds[slot] == PARAMETER and facts.snapshot.is_registered(slot):
                owner = slots.modules[slot]
                by_owner.setdefault(repeats.get(owner, owner), []).append(facts.slots.path_at(slot))
        yield from (paths for paths in by_owner.values() if len(paths) > 1)


def _named(facts: Facts, tied: Iterable[list[str]]) -> Iterator[Copy]:
    found: dict[str, dict[str, int]] = {}
    for paths in tied:
        marked: dict[str, str] = {}
        plain = ""
        for path in paths:
            root = _copy_above(path)
            if root is not None:
                marked.setdefault(root, path)
            elif not plain:
                plain = path
        for root, path in marked.items() if plain else ():
            _, original = heads((path, plain))
            counts = found.setdefault(root, {})
            counts[original] = counts.get(original, 0) + 1
    for root, counts in found.items():
        original = max(counts, key=lambda each: counts[each])
        if root in facts.modules and _says_copy(facts, root, original) and not _holds_both(facts, root, original):
            held = len(set(_parameters(facts, root).values()))
            yield Copy(root, original, sum(counts.values()), held, is_named=True)


def _holds_both(facts: Facts, root: str, original: str) -> bool:
    """Whether a module holds, beside what it shares with another one, a copy of that: a keeper of averages that knows
    the model that it averages."""
    mine = _parameters(facts, original)
    children = facts.children.get(facts.modules.position(root), ())
    held = [parameters_below(facts, child) for child in children]
    return any(each == mine for each in held) and any(
        each.keys() == mine.keys() and not set(each.values()) & set(mine.values()) for each in held
    )


def _copy_above(path: str) -> str | None:
    """The outermost module above a slot whose own name holds a word that says copy."""
    steps = path.split(".")[:-1]
    for end, step in enumerate(steps, 1):
        if not _COPY.isdisjoint(text.words(step)):
            return ".".join(steps[:end])
    return None


def _says_copy(facts: Facts, path: str, original: str) -> bool:
    """Whether the name of a module says that it is a copy of another one, and not something else with such a word."""
    above, step = parent(path), last_name(path)
    words = {word for word in text.words(step) if not word.isdecimal()}
    others = {word for part in original.split(".") for word in text.words(part)}
    said = words & _COPY
    if not words - _COPY <= _THINGS | others or not others.isdisjoint(_OTHER_SIDE):
        return False
    if not (words & others).isdisjoint(_EQUALS):
        return False
    if said <= _NEIGHBOURS and parent(original) != above:
        return False
    # A table of targets is no target network.
    return not facts.is_a(facts.modules[path].type, *_EMBEDDINGS)


def _frozen(facts: Facts, tied: Iterable[list[str]]) -> Iterator[Copy]:
    """Structural twins of which one is frozen but for what it shares with the other, which is trained."""
    if not any(kind.is_frozen for kind in facts.slot_kinds):
        return
    met: set[tuple[str, str]] = set()
    for first, *others in tied:
        for other in others:
            for one, two in _levels(first, other):
                if (one, two) in met:
                    break
                met.add((one, two))
                found = _twins(facts, one, two)
                if found is not None:
                    yield found
                    break


def _levels(one: str, other: str) -> Iterator[tuple[str, str]]:
    """Modules above two slots that lead to them by the same names, from the outermost in."""
    first, second = heads((one, other))
    rest = one[len(first) + 1 :].split(".")[:-1]
    yield first, second
    for step in rest:
        first, second = join(first, step), join(second, step)
        yield first, second


def _twins(facts: Facts, one: str, other: str) -> Copy | None:
    modules = facts.modules
    if one not in modules or other not in modules or modules[one].type != modules[other].type:
        return None
    mine, theirs = _parameters(facts, one), _parameters(facts, other)
    if mine.keys() != theirs.keys():
        return None
    flags, specs = facts.snapshot.tensor_columns.flags, facts.snapshot.tensor_columns.specs
    shapes = facts.snapshot.interned.specs
    if any(shapes[specs[mine[name]]].shape != shapes[specs[theirs[name]]].shape for name in mine):
        return None
    shared = sum(mine[name] == theirs[name] for name in mine)
    apart = [name for name in mine if mine[name] != theirs[name]]
    for path, original, held, others in ((other, one, theirs, mine), (one, other, mine, theirs)):
        is_frozen = apart and not any(flags[held[name]] & REQUIRES_GRAD for name in apart)
        if is_frozen and any(flags[others[name]] & REQUIRES_GRAD for name in apart):
            return Copy(path, original, shared, len(held), is_named=False)
    return None


def _parameters(facts: Facts, path: str) -> dict[str, int]:
    return parameters_below(facts, facts.modules.position(path))
