"""A snapshot → what all ranks of a job should say alike; what several say → where they differ."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from paramscope import text
from paramscope.snapshot import Placement, RankDifference, RankRecord, SlotRecord, Snapshot

MOST = 1_000
"""Differences that are told."""
_FLAT = "torch.distributed.fsdp.fully_sharded_data_parallel.FullyShardedDataParallel"
"""Cuts its parameters anywhere: no two ranks have the same shapes, and some have nothing of one."""


def record_of(snapshot: Snapshot, rank: int, parameters: int, nbytes: int) -> RankRecord:
    """What one rank holds. parameters, nbytes: of its totals."""
    return RankRecord(rank, parameters, nbytes, len(snapshot.slot_columns.names))


def said_by(snapshot: Snapshot) -> dict[str, str]:
    """What one rank says of each slot and each param group, as far as the others should say it, too; by the kind of
    what is compared and its path."""
    has_shapes = _FLAT not in snapshot.interned.types
    said = {}
    for slot in snapshot.slots.records():
        said[f"slot {slot.path}"] = _of_slot(slot, has_shapes=has_shapes)
        if slot.groups:
            said[f"member {slot.path}"] = ", ".join(f"{each.optimizer}:{each.group}" for each in slot.groups)
    for optimizer in snapshot.optimizers:
        for group in optimizer.groups:
            options = [f"{name}={text.option(value)}" for name, value in group.options if value not in (None, False)]
            said[f"group optimizer[{optimizer.name}].groups[{group.index}]"] = "; ".join(
                [text.class_name(optimizer.type), *options, text.plural(len(group.slots), "slot")]
            )
    return said


def digest(said: Mapping[str, str]) -> str:
    """32 characters that are the same where all of it is, and its order."""
    found = hashlib.blake2b(digest_size=16)
    for item in said.items():
        found.update("\0".join(item).encode(errors="replace") + b"\n")
    return found.hexdigest()


def differences(said: Sequence[tuple[Sequence[int], Mapping[str, str]]]) -> tuple[RankDifference, ...]:
    """Where ranks differ. said: (ranks, what they say) of those that say the same, in any order."""
    found = []
    for key in dict.fromkeys(key for _, each in said for key in each):
        kind, _, path = key.partition(" ")
        by_words: dict[str, list[int]] = {}
        for ranks, each in said:
            by_words.setdefault(each.get(key, ""), []).extend(ranks)
        if len(by_words) > 1:
            ordered = sorted(by_words.items(), key=lambda item: (-len(item[1]), min(item[1])))
            told = tuple((tuple(sorted(ranks)), words) for words, ranks in ordered)
            found.append(RankDifference(kind, path, told))  # type: ignore[arg-type]  # one of them
        if len(found) == MOST:
            break
    return tuple(found) or (_of_order(said),)


def _of_order(said: Sequence[tuple[Sequence[int], Mapping[str, str]]]) -> RankDifference:
    """Where ranks that say the same begin to say it in another order."""
    at = next(at for at, keys in enumerate(zip(*(each for _, each in said), strict=True)) if len(set(keys)) > 1)
    first = [(tuple(sorted(ranks)), f"{[*each][at].partition(' ')[2]} first") for ranks, each in said]
    return RankDifference("order", "", tuple(sorted(first, key=lambda each: (-len(each[0]), each[0]))))


def _of_slot(slot: SlotRecord, *, has_shapes: bool) -> str:
    if slot.status == "empty":
        return "empty"
    shape = text.shape(slot.shape) if has_shapes else ""
    device = (slot.device or "").partition(":")[0]
    saved = ", not saved" if slot.saved is False else ""
    placed = "".join(f", {_placed(each)}" for each in slot.placements)
    return " ".join(filter(None, (slot.status, shape, slot.dtype, device))) + saved + placed


def _placed(placement: Placement) -> str:
    where = "" if placement.dim is None else f" {placement.dim}"
    return f"{placement.kind}{where} over {placement.mesh} ({placement.ranks})"
