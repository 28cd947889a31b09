"""Less than half of a storage is used by what is saved.

What it finds
: A storage of which all registered, persistent parameters and buffers together use less than half, leaving at least 1
  MiB unused: a slice of something large that was registered without a copy.

Why it matters
: `torch.save` writes whole storages: the checkpoint of a slice of ten rows also holds the other million. And as long
  as the slice is alive, none of that memory is freed.

Example
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        vectors = torch.zeros(100_000, 16)
        self.words = nn.Parameter(vectors[:1000])

model = Net()
```

Instead
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        vectors = torch.zeros(100_000, 16)
        self.words = nn.Parameter(vectors[:1000].clone())

model = Net()
```

When it is wrong to follow it
: Where the whole tensor is needed anyway, and checkpoints are written by something that copies, as safetensors does.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import text
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import placeholders
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import ATTRIBUTE, TRANSIENT_BUFFER

RULE = Rule("PS308", "view-of-large-storage", Severity.WARNING)

LEAST = 1 << 20
"""Bytes that must be wasted for it to matter."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Storages by what is saved of them."""
    for storage, slots in _saved_slots(facts, _suspects(facts)).items():
        record = facts.snapshot.storage(storage)
        if record.saved is None or record.wasted < LEAST or 2 * record.saved >= record.nbytes:
            continue
        # Nothing is written of what lies on meta, and what FSDP or a state_dict() of the user's writes is not known.
        tensors = facts.snapshot.slot_columns.tensors
        is_told = all(facts.slots.at(slot).saved for slot in slots)
        if record.device == "meta" or not is_told or any(tensors[slot] in facts.recomputed_tensors for slot in slots):
            continue
        verb = "reaches" if len(slots) == 1 else "reach"
        names = placeholders(len(slots))
        yield Problem(
            tuple(facts.paths(slots)),
            f"{names} {verb} {text.nbytes(record.saved)} of a storage of {text.nbytes(record.nbytes)}, and "
            "torch.save writes all of it.",
            "Register a copy of the part that is needed: .clone() of the slice.",
            is_apart=True,
        )


def _suspects(facts: Facts) -> set[int]:
    """Storages that are larger by 1 MiB than some tensor over them: few, and without looking at slots."""
    tensors, sizes = facts.snapshot.tensor_columns, facts.snapshot.storage_columns.nbytes
    large = {number for number, nbytes in enumerate(sizes) if nbytes > LEAST}
    if not large:
        return large
    reached = [spec.nbytes or 0 for spec in facts.snapshot.interned.specs]
    found = {
        storage
        for storage, spec in set(zip(tensors.storages, tensors.specs, strict=True))
        if storage in large and sizes[storage] - reached[spec] >= LEAST
    }
    of_parts = (part.storage for parts in tensors.parts.values() for part in parts)
    # What expands memory counts more bytes than it reaches.
    folded = (
        facts.slots[record.slots[0]].storage for record in facts.snapshot.sharing if record.kind == "self-overlapping"
    )
    return found | {storage for storage in (*of_parts, *folded) if storage is not None and storage in large}


def _saved_slots(facts: Facts, storages: set[int]) -> dict[int, list[int]]:
    """By storage, the registered and persistent slots that view it."""
    found: dict[int, list[int]] = {}
    if not storages:
        return found
    slots, tensors = facts.snapshot.slot_columns, facts.snapshot.tensor_columns
    for slot, tensor in enumerate(slots.tensors):
        if tensor < 0 or (tensors.storages[tensor] not in storages and tensor not in tensors.parts):
            continue
        if slots.holds[slot] in (ATTRIBUTE, TRANSIENT_BUFFER) or not facts.snapshot.is_registered(slot):
            continue
        for storage in {span.storage for span in facts.spans(tensor)} & storages:
            found.setdefault(storage, []).append(slot)
    return dict(sorted(found.items()))
