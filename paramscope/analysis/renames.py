"""The slots of two states of a model → which of one is which of the other, where paths have changed.

A path is found again, in this order, when it is the same, unless items of its list were put in or taken out before
it; when something stands in front of all of them; when it differs by what wrappers put into it; when what has gone
from a module has come to another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from paramscope.analysis.paths import at_and_above
from paramscope.snapshot.path import last_name, parent

K = TypeVar("K", bound=Hashable)
S = TypeVar("S")
T = TypeVar("T")

_WRAPPERS = re.compile(
    r"(?<![^.])(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|base_layer|original_module|base_model\.model)\."
)
"""Names that DDP, `torch.compile`, FSDP, checkpointing and peft put into the paths of what they wrap."""
_REWRITTEN = (
    (re.compile(r"\.?\[(?:'([^'\\]*)'|(\d+))\]"), r".\1\2"),  # an item of a plain container, of a registered one
    (re.compile(r"(?<![^.])parametrizations\.([^.]+)\.original\Z"), r"\1"),
    (re.compile(r"_orig\Z"), ""),  # torch.nn.utils.prune
)
_ITEM = re.compile(r"(?<![^.])[0-9]+(?![^.])")
"""The name of an item of a list."""
_NUMBER = re.compile(r"[0-9]+")


def found_again(
    before: Mapping[str, S], after: Mapping[str, S], facts: Callable[[S], Hashable], form: Callable[[S], Hashable]
) -> dict[str, str]:
    """For each path of `before` that is found again, its path in `after`, each of these at most once.

    facts: of a slot, what has to be equal where the path alone does not tell; form: less of it, for those that are
    not found by it.
    """
    found = {path: path for path in before if path in after}
    if clashes := [path for path in found if form(before[path]) != form(after[path])]:
        _shift(found, clashes, *({path: form(each) for path, each in side.items()} for side in (before, after)))
    finders = [_unwrapped, _moved] if found else [_prefixed, _unwrapped, _moved]
    for likeness in (facts, form):
        taken = set(found.values())
        gone = {path: likeness(each) for path, each in before.items() if path not in found}
        come = {path: likeness(each) for path, each in after.items() if path not in taken}
        for find in finders:
            if not gone or not come:
                break
            for old, new in list(find(gone, come)):
                if old in gone and new in come:
                    found[old] = new
                    del gone[old], come[new]
    return found


def _shift(
    found: dict[str, str], clashes: Iterable[str], before: Mapping[str, Hashable], after: Mapping[str, Hashable]
) -> None:
    """Items that others were put in before, or taken out, are found under another number."""
    lists = {path[: match.start()] for path in clashes for match in _ITEM.finditer(path)}
    here, there = (_items(side, lists) for side in (before, after))
    for start in sorted(lists, key=len):
        mine = [f"{start}{number}{rest}" for number, item in here[start].items() for rest, _ in item]
        is_as_it_was = all(found.get(path) == path for path in mine if path in after)
        if is_as_it_was and (pairs := _in_both(here[start], there[start])):
            for path in mine:
                found.pop(path, None)
            for old, new in pairs:
                found |= {f"{start}{old}{rest}": f"{start}{new}{rest}" for rest, _ in here[start][old]}


_Items = Mapping[str, Sequence[tuple[str, Hashable]]]
"""For each item of a list its slots: the rest of their paths, and what they are."""


def _items(slots: Mapping[str, Hashable], lists: Collection[str]) -> dict[str, _Items]:
    found: dict[str, dict[str, list[tuple[str, Hashable]]]] = {start: {} for start in lists}
    for path, what in slots.items():
        for match in _ITEM.finditer(path):
            if (start := path[: match.start()]) in found:
                found[start].setdefault(match[0], []).append((path[match.end() :], what))
    return {start: dict(sorted(items.items(), key=lambda item: int(item[0]))) for start, items in found.items()}


def _in_both(here: _Items, there: _Items) -> list[tuple[str, str]]:
    """Of two lists, one of them the other with more in it, which item is which; nothing for others."""
    is_longer = len(here) > len(there)
    short, long = (there, here) if is_longer else (here, there)
    others, pairs = iter(long.items()), []
    for number, item in short.items() if len(short) < len(long) else ():
        same = next((other for other, what in others if what == item), None)
        if same is None:
            return []
        pairs.append((same, number) if is_longer else (number, same))
    return pairs


def _prefixed(gone: Mapping[str, Hashable], come: Mapping[str, Hashable]) -> Iterator[tuple[str, str]]:
    """What stands in front of the first slot of one side stands in front of them all, and most are what they were."""
    old, new = next(iter(gone)), next(iter(come))
    if new.endswith(f".{old}"):
        prefix = new[: -len(old)]
        pairs = [(path, prefix + path) for path in gone]
    elif old.endswith(f".{new}"):
        prefix = old[: -len(new)]
        pairs = [(prefix + path, path) for path in come]
    else:
        return
    pairs = [(path, other) for path, other in pairs if path in gone and other in come]
    if 2 * sum(gone[path] == come[other] for path, other in pairs) >= len(pairs):
        yield from pairs


def plain_path(path: str) -> str:
    """A path without what wrappers and parametrizations put into it."""
    path = _WRAPPERS.sub("", path)
    for pattern, instead in _REWRITTEN:
        path = pattern.sub(instead, path)
    return path


def _unwrapped(gone: Mapping[str, Hashable], come: Mapping[str, Hashable]) -> Iterator[tuple[str, str]]:
    here, there = _by(gone, plain_path), _by(come, plain_path)
    for plain, paths in here.items():
        if len(paths) == len(there.get(plain, ())) == 1:
            yield paths[0], there[plain][0]


class _Part(NamedTuple):
    """What has gone from a module, or come to it: all of it, or what is not in modules of its own."""

    held: int
    """The hash of what it is, and how it is called below the module."""
    name: str
    numbers: tuple[str, ...]
    """Those in the path of the module."""
    slots: Sequence[str]


_KEYS: tuple[Callable[[_Part], Hashable], ...] = (
    lambda part: part[:3],
    lambda part: (part.held, part.numbers),
    lambda part: (part.held, part.name),
    lambda part: part.held,
)


def _moved(gone: Mapping[str, Hashable], come: Mapping[str, Hashable]) -> Iterator[tuple[str, str]]:
    """What has gone from modules and is as much as has come to others: to those of the same name and numbers, the
    same numbers, the same name, or any; large parts first."""
    here, there = _parts(gone), _parts(come)
    both = {part.held for part in here} & {part.held for part in there}
    left: set[str] = set()
    taken: set[str] = set()
    for key in _KEYS:
        here, there = (
            [part for part in parts if part.held in both and known.isdisjoint(part.slots)]
            for parts, known in ((here, left), (there, taken))
        )
        others = _by(there, key)
        for alike, parts in _by(here, key).items():
            mine = [part for part in parts if left.isdisjoint(part.slots)]
            theirs = [part for part in others.get(alike, ()) if taken.isdisjoint(part.slots)]
            if len(mine) == len(theirs):
                left.update(path for part in mine for path in part.slots)
                taken.update(path for part in theirs for path in part.slots)
                for old, new in zip(mine, theirs, strict=True):
                    yield from zip(old.slots, new.slots, strict=True)


def _parts(slots: Mapping[str, Hashable]) -> list[_Part]:
    own = _by(sorted(slots), parent)
    held = {module: hash(tuple([(last_name(path), slots[path]) for path in mine])) for module, mine in own.items()}
    inner: dict[str, list[str]] = {}
    for module in own:
        for above in at_and_above(module):
            inner.setdefault(above, []).append(module)
    split = [(module, [module]) for module in own if len(inner[module]) > 1]
    parts = []
    for module, mine in (*inner.items(), *split):
        start = len(module) + 1 if module else 0
        content = hash(tuple([(each[start:], held[each]) for each in mine]))
        paths = [path for each in mine for path in own[each]]
        parts.append(_Part(content, last_name(module), tuple(_NUMBER.findall(module)), paths))
    return sorted(parts, key=lambda part: -len(part.slots))


def _by(things: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    found: dict[K, list[T]] = {}
    for each in things:
        found.setdefault(key(each), []).append(each)
    return found
