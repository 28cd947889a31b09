"""A snapshot → what all ranks of a job should say alike; what several say → where they differ.

Ranks tell one another in a tree: each adds what the ranks below it say to its own, and hands the sum on. What all say
alike is there once, whoever many they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from paramscope import text
from paramscope.analysis.totals import count_totals
from paramscope.errors import RanksError
from paramscope.snapshot import (
    Placement,
    RankDifference,
    RankRecord,
    Ranks,
    SlotRecord,
    Snapshot,
    Spans,
    numbers_in,
    spans_of,
)
from paramscope.version import __version__

MOST = 1_000
"""Differences that are told."""
_VALUES = ("replica", "buffer", "shard", "unbound")

Said: TypeAlias = "dict[str, dict[str, list[list[int]]]]"
"""What is said of each thing, and by which ranks: the first and the last of each run of them."""


def below(position: int, size: int) -> list[int]:
    """Of `size` ranks in a tree, those right below one, nearest first; each stands for itself and all between it and
    the next. Below the first one there are at most log2(size)."""
    step, found = 1, []
    while position + step < size and not position & step:
        found.append(position + step)
        step *= 2
    return found


def merged(said: Iterable[Said]) -> Said:
    """What several say together. said: of ranks that rise from one to the next."""
    found: Said = {}
    for each in said:
        for key, by_words in each.items():
            mine = found.setdefault(key, {})
            for words, spans in by_words.items():
                _extend(mine.setdefault(words, []), spans)
    return found


def _extend(spans: list[list[int]], more: Iterable[list[int]]) -> None:
    for first, last in more:
        if spans and spans[-1][1] == first - 1:
            spans[-1][1] = last
        elif spans and spans[-1][0] > first:  # ranks do not always rise where few speak for many
            spans.append([first, last])
            spans[:] = [[*span] for span in spans_of(sorted(numbers_in(spans)))]
        else:
            spans.append([first, last])


class Rank:
    """What one rank says."""

    def __init__(self, snapshot: Snapshot, rank: int) -> None:
        self._rank, self._facts = rank, facts_of(snapshot)
        self._values: dict[str, dict[str, str]] = {}
        for each in snapshot.checksums or ():
            self._values.setdefault(f"{each.kind} {text.ranges(each.ranks)}", {}).update(each.codes)
        totals = count_totals(snapshot)
        held = totals.parameters if totals.local is None else totals.local
        said = {
            "held": f"{held} {totals.nbytes} {len(snapshot.slot_columns.names)}",
            "paramscope": __version__,
            "torch": snapshot.torch_version,
            "facts": _digest(self._facts),
            **{key: _digest(codes) for key, codes in self._values.items()},
        }
        self.summary: Said = {key: {words: [[rank, rank]]} for key, words in said.items()}
        """The little that each rank tells in any case: what it holds, and digests of what it says in full."""

    def in_full(self, summary: Said) -> Said:
        """What it says for all that say the same, where it is the first of them. summary: that of all ranks."""
        said: Said = {}
        if spans := self._speaks_for("facts", summary):
            said |= {key: {words: spans} for key, words in self._facts.items()}
            said["order "] = {"\n".join(self._facts): spans}
        for key, codes in self._values.items():
            if spans := self._speaks_for(key, summary):
                said |= {f"{key} {path}": {code: spans} for path, code in codes.items()}
        return said

    def _speaks_for(self, key: str, summary: Said) -> list[list[int]]:
        (own,) = self.summary[key]
        spans = summary[key][own]
        return spans if spans[0][0] == self._rank and is_split(key, summary[key]) else []


def is_split(key: str, by_words: Mapping[str, list[list[int]]]) -> bool:
    """Whether what is said of a thing of a summary asks for all that ranks say of it in full."""
    kind = key.partition(" ")[0]
    if kind == "shard":
        return any(len(numbers_in(spans)) > 1 for spans in by_words.values())
    return (kind == "facts" or kind in _VALUES) and len(by_words) > 1


def speakers(summary: Said) -> list[int]:
    """Of a summary of all, the ranks that say in full what it is that differs: one for all that say the same."""
    return sorted(
        {spans[0][0] for key, by_words in summary.items() if is_split(key, by_words) for spans in by_words.values()}
    )


def ranks_of(summary: Said, said: Said) -> Ranks:
    """What all ranks hold, and where they differ. summary: of all; said: what the speakers say in full."""
    held = {
        rank: tuple(map(int, words.split())) for words, spans in summary["held"].items() for rank in numbers_in(spans)
    }
    records = tuple(RankRecord(rank, *held[rank]) for rank in sorted(held))
    elements = [max(map(int, by_words)) for key, by_words in said.items() if key.startswith("elements ")]
    return Ranks(records, tuple(_differences(said, frozenset(held))), sum(elements) if elements else None)


def together(seen: Iterable[tuple[int, Snapshot]]) -> Snapshot:
    """The first of several ranks' snapshots, with what all of them hold. seen: (rank, what it saw).

    Raises RanksError where they cannot be compared.
    """
    ordered = sorted(seen, key=lambda each: each[0])
    told = [Rank(snapshot, rank) for rank, snapshot in ordered]
    summary = merged(each.summary for each in told)
    check(summary)
    return ordered[0][1].with_ranks(ranks_of(summary, merged(each.in_full(summary) for each in told)))


def check(summary: Said) -> None:
    """Raises RanksError where a rank has failed, or what they say cannot be compared."""
    for error, spans in summary.get("failed", {}).items():
        raise RanksError(f"the audit failed on {text.ranks(numbers_in(spans))}: {error}")
    for each in ("paramscope", "torch"):
        if len(summary[each]) > 1:
            versions = (
                f"{version} on {text.ranks(numbers_in(spans))}" for version, spans in sorted(summary[each].items())
            )
            raise RanksError(f"ranks have different versions of {each}: {'; '.join(versions)}", "Install one on all.")


def facts_of(snapshot: Snapshot) -> dict[str, str]:
    """What one rank says of each slot and each param group, as far as the others should say it, too, and the elements
    of each parameter; by the kind of what is compared and its path."""
    said = {"optimizers ": ", ".join(each.name for each in snapshot.optimizers)}
    counted: set[int | None] = {None}
    words: dict[tuple[object, ...], str] = {}
    for slot in snapshot.slots.records():
        path = slot.path
        key = slot.status, slot.shape, slot.dtype, slot.device, slot.saved, slot.placements
        said[f"slot {path}"] = words.get(key) or words.setdefault(key, _of_slot(slot))
        if slot.groups:
            said[f"member {path}"] = ", ".join(f"{each.optimizer}:{each.group}" for each in slot.groups)
        if slot.role == "parameter" and slot.registered and slot.tensor not in counted:
            counted.add(slot.tensor)
            said[f"elements {path}"] = str(slot.numel or 0)
    said |= {f"unheard {each.path}": each.name or "the model" for each in snapshot.oddities if each.kind == "unheard"}
    for optimizer in snapshot.optimizers:
        for group in optimizer.groups:
            options = [f"{name}={text.option(value)}" for name, value in group.options if value not in (None, False)]
            said[f"group optimizer[{optimizer.name}].groups[{group.index}]"] = "; ".join(
                [text.class_name(optimizer.type), *options, text.plural(len(group.slots), "slot")]
            )
    return said


def _digest(said: Mapping[str, str]) -> str:
    """32 characters that are the same where all of it is, and its order."""
    found = hashlib.blake2b(digest_size=16)
    for item in said.items():
        found.update("\0".join(item).encode(errors="replace") + b"\n")
    return found.hexdigest()


def _differences(said: Said, asked: frozenset[int]) -> Iterator[RankDifference]:
    """Where ranks differ; asked: all of them."""
    found = [each for key, by_words in said.items() for each in _of_key(key, by_words, asked)]
    missing = {each.path for each in found if each.kind == "slot" and not all(words for _, words in each.said)}
    found = [each for each in found if each.kind != "member" or each.path not in missing]
    unbound = [each for each in found if each.kind == "unbound"]
    if len(unbound) < sum(key.startswith("unbound ") for key in said):
        unbound = []  # parts are alike: each rank was meant to have its own of the others
    facts = [each for each in found if each.kind != "unbound"]
    if not any(each.kind not in (*_VALUES, "order") for each in facts):
        facts += _of_order(said.get("order ", {}))
    yield from (*facts[:MOST], *unbound[:1])


def _of_key(key: str, by_words: Mapping[str, list[list[int]]], asked: frozenset[int]) -> Iterator[RankDifference]:
    kind, _, path = key.partition(" ")
    told = dict(by_words)
    if kind in ("order", "elements"):
        return
    if kind in _VALUES:
        path = path.partition(" ")[2]
        if kind == "shard":
            told = {words: spans for words, spans in told.items() if len(numbers_in(spans)) > 1}
    elif missing := asked.difference(*(numbers_in(spans) for spans in told.values())):
        told[""] = [[*span] for span in spans_of(sorted(missing))]
    if len(told) > (kind != "shard"):
        yield RankDifference(kind, path, _ordered(told))  # type: ignore[arg-type]  # one of them


def _ordered(told: Mapping[str, list[list[int]]]) -> tuple[tuple[Spans, str], ...]:
    """Most ranks first."""
    spoken = [(tuple((first, last) for first, last in spans), words) for words, spans in told.items()]
    spoken.sort(key=lambda each: (-len(numbers_in(each[0])), each[0]))
    return tuple(spoken)


def _of_order(by_words: Mapping[str, list[list[int]]]) -> Iterator[RankDifference]:
    """Where ranks that say the same begin to say it in another order."""
    if len(by_words) < 2:
        return
    orders = {words: words.split("\n") for words in by_words}
    at = next(at for at, keys in enumerate(zip(*orders.values(), strict=True)) if len(set(keys)) > 1)
    told: dict[str, list[list[int]]] = {}
    for words, spans in by_words.items():
        _extend(told.setdefault(f"{orders[words][at].partition(' ')[2]} first", []), spans)
    yield RankDifference("order", "", _ordered(told))


def _of_slot(slot: SlotRecord) -> str:
    if slot.status == "empty":
        return "empty"
    shape = text.shape(slot.shape)
    device = (slot.device or "").partition(":")[0]
    saved = ", not saved" if slot.saved is False else ""
    placed = "".join(f", {_placed(each)}" for each in slot.placements)
    return " ".join(filter(None, (slot.status, shape, slot.dtype, device))) + saved + placed


def _placed(placement: Placement) -> str:
    where = "" if placement.dim is None else f" {placement.dim}"
    return f"{placement.kind}{where} over {placement.mesh} ({placement.ranks})"
