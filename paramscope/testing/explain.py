"""A number of elements → the one part of a model that has just that many."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from paramscope.analysis.paths import PathRow, fold_paths, with_facts
from paramscope.snapshot.path import parent


class Part(NamedTuple):
    """One tensor that may account for a difference."""

    path: str
    shape: Hashable
    numel: int


MOST_CANDIDATES = 3
NUMBER = re.compile(r"[0-9]+")


def accounts_for(parts: Sequence[Part], elements: int) -> str | None:
    """What of some parts has exactly so many elements, in this order: a folded row, one slot, all below one
    module, all below modules that differ in numbers alone.

    None where nothing has, or so much that naming it would be guessing.
    """
    rows = fold_paths([((part.path,), part.shape) for part in parts])
    exact = [row for row in rows if sum(parts[i].numel for i in row.members) == elements]
    if exact:
        return _one_of(exact)
    single = [part for part in parts if part.numel == elements]
    if single:
        return _one_of(fold_paths([((part.path,), part.shape) for part in single]), one_member=True)
    return _one_of(list(_subtrees(parts, elements)))


def _one_of(rows: Sequence[PathRow], *, one_member: bool = False) -> str | None:
    if not rows or len(rows) > MOST_CANDIDATES:
        return None
    certain = len(rows) == 1 and not (one_member and len(rows[0].members) > 1)
    return ("" if certain else "one of ") + ", ".join(with_facts(row) for row in rows)


def _subtrees(parts: Sequence[Part], elements: int) -> Iterator[PathRow]:
    """`transformer.h.3.*` and `transformer.h.[0-11].ln_1.*`, the deepest of those that hold the same."""
    sums: dict[str, int] = {}
    alike: dict[str, dict[str, int]] = {}
    for part in parts:
        for prefix in _prefixes(part.path):
            sums[prefix] = sums.get(prefix, 0) + part.numel
            below = alike.setdefault(NUMBER.sub("#", prefix), {})
            below[prefix] = below.get(prefix, 0) + part.numel
    whole = _deepest([prefix for prefix, found in sums.items() if found == elements])
    if whole:
        yield from fold_paths([((f"{prefix}.*",), prefix) for prefix in whole])
        return
    groups = {name: below for name, below in alike.items() if len(below) > 1 and sum(below.values()) == elements}
    for name in _deepest(groups):
        rows = fold_paths([((f"{prefix}.*",), None) for prefix in groups[name]])
        if len(rows) == 1:
            yield rows[0]


def _prefixes(path: str) -> Iterator[str]:
    """The modules above a slot, the root excepted."""
    while True:
        path = parent(path)
        if not path:
            return
        yield path


def _deepest(prefixes: Iterable[str]) -> list[str]:
    """Those that no other one lies below: they hold the same elements as what is above them."""
    found = list(prefixes)
    return [prefix for prefix in found if not any(other.startswith(prefix + ".") for other in found)]
