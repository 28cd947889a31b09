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
    """What one rank says of each slot and each param group, as far as the others should say it, too."""
    has_shapes = _FLAT not in snapshot.interned.types
    said = {slot.path: _of_slot(slot, has_shapes=has_shapes) for slot in snapshot.slots.records()}
    for optimizer in snapshot.optimizers:
        for group in optimizer.groups:
            options = [f"{name}={text.option(value)}" for name, value in group.options if value not in (None, False)]
            said[f"optimizer[{optimizer.name}].groups[{group.index}]"] = ", ".join(
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
    for path in dict.fromkeys(path for _, each in said for path in each):
        by_words: dict[str, list[int]] = {}
        for ranks, each in said:
            by_words.setdefault(each.get(path, ""), []).extend(ranks)
        if len(by_words) > 1:
            ordered = sorted(by_words.items(), key=lambda item: (-len(item[1]), min(item[1])))
            found.append(RankDifference(path, tuple((tuple(sorted(ranks)), words) for words, ranks in ordered)))
        if len(found) == MOST:
            break
    return tuple(found)


def _of_slot(slot: SlotRecord, *, has_shapes: bool) -> str:
    if slot.status == "empty":
        return "empty"
    shape = text.shape(slot.shape) if has_shapes else ""
    device = (slot.device or "").partition(":")[0]
    saved = ", not saved" if slot.saved is False else ""
    placed = "".join(f", {_placed(each)}" for each in slot.placements)
    stepped = "".join(f", in group {each.optimizer}:{each.group}" for each in slot.groups)
    return " ".join(filter(None, (slot.status, shape, slot.dtype, device))) + saved + stepped + placed


def _placed(placement: Placement) -> str:
    where = "" if placement.dim is None else f" {placement.dim}"
    return f"{placement.kind}{where} over {placement.mesh} ({placement.ranks})"
