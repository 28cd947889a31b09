"""The slots of two states of a model → which of one is which of the other, where paths have changed.

A path is found again, in this order, when it is the same; when something stands in front of all of them; when it
differs by what wrappers put into it; when all that lies in one module now lies in another; when as many slots with
the same name and facts have come as have gone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import TypeVar

from paramscope.snapshot.path import heads, last_name

S = TypeVar("S")

_WRAPPERS = re.compile(
    r"(?<![^.])(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|base_layer|base_model\.model)\."
)
"""Names that DDP, `torch.compile`, FSDP, checkpointing and peft put into the paths of what they wrap."""
_REWRITTEN = (
    (re.compile(r"\.?\[(?:'([^'\\]*)'|(\d+))\]"), r".\1\2"),  # an item of a plain container, of a registered one
    (re.compile(r"(?<![^.])parametrizations\.([^.]+)\.original\Z"), r"\1"),
    (re.compile(r"_orig\Z"), ""),  # torch.nn.utils.prune
)
_MOST_PAIRS, _MOST_MOVES = 32, 16
"""Of slots that look alike, how many of each side are asked where their module may have gone; and how many answers
are tried."""


def found_again(before: Mapping[str, S], after: Mapping[str, S], likeness: Callable[[S], Hashable]) -> dict[str, str]:
    """For each path of `before` that is found again, its path in `after`, each of these at most once.

    likeness: of a slot's facts, what has to be equal where the path alone does not tell.
    """
    found = {path: path for path in before if path in after}
    gone = {path: likeness(each) for path, each in before.items() if path not in found}
    come = {path: likeness(each) for path, each in after.items() if path not in found}
    for find in (_prefixed, _unwrapped, _moved, _in_order):
        if not gone or not come:
            break
        for old, new in list(find(gone, come)):
            if old in gone and new in come:
                found[old] = new
                del gone[old], come[new]
    return found


def _prefixed(gone: Mapping[str, Hashable], come: Mapping[str, Hashable]) -> Iterator[tuple[str, str]]:
    """What stands in front of the first slot of one side may stand in front of them all."""
    old, new = next(iter(gone)), next(iter(come))
    if new.endswith(f".{old}"):
        prefix = new[: -len(old)]
        yield from ((path, prefix + path) for path in gone)
    elif old.endswith(f".{new}"):
        prefix = old[: -len(new)]
        yield from ((prefix + path, path) for path in come)


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


def _moved(gone: Mapping[str, Hashable], come: Mapping[str, Hashable]) -> Iterator[tuple[str, str]]:
    """What lies in a module that most others of it are found below another one."""
    here, there = (_by(side, lambda path, side=side: (last_name(path), side[path])) for side in (gone, come))  # type: ignore[misc]
    moves: Counter[tuple[str, ...]] = Counter()
    for alike, paths in here.items():
        for path in paths[:_MOST_PAIRS]:
            moves.update(heads((path, other), least=0) for other in there.get(alike, ())[:_MOST_PAIRS])
    for (old, new), times in moves.most_common(_MOST_MOVES):
        if times < 2:
            return
        start = f"{old}." if "." in old or old else ""
        for path in gone:
            if path.startswith(start):
                other = f"{new}.{path[len(start) :]}"
                if other in come and come[other] == gone[path]:
                    yield path, other


def _in_order(gone: Mapping[str, Hashable], come: Mapping[str, Hashable]) -> Iterator[tuple[str, str]]:
    here, there = (_by(side, lambda path, side=side: (last_name(path), side[path])) for side in (gone, come))  # type: ignore[misc]
    for alike, paths in here.items():
        if len(paths) == len(there.get(alike, ())):
            yield from zip(paths, there[alike], strict=True)


def _by(paths: Iterable[str], key: Callable[[str], Hashable]) -> dict[Hashable, list[str]]:
    found: dict[Hashable, list[str]] = {}
    for path in paths:
        found.setdefault(key(path), []).append(path)
    return found
