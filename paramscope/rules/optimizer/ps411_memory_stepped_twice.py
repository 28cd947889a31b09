"""Optimizers hold different tensors over the same memory.

What it finds
: Distinct tensors that have bytes in common, each of them in a param group: a parameter and a view of it, or a second
  Parameter made from its `.data`.

Why it matters
: Each is stepped by itself, with a gradient and a state of its own: the memory they share is changed once for each,
  and no step knows of the others.

Example
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(10, 4)

model = Net()
special = nn.Parameter(model.words.weight.data[:2])
optimizer = torch.optim.Adam([*model.parameters(), special])
```

Instead
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(10, 4)

model = Net()
special = nn.Parameter(model.words.weight.detach()[:2].clone())
optimizer = torch.optim.Adam([*model.parameters(), special])
```

When it is wrong to follow it
: Hardly ever. Parameters of the model that share memory are reported by PS301, PS302 and PS309, with or without an
  optimizer; this rule adds what an optimizer holds besides these. If all of the tensors are frozen it is information
  only, as long as none of them has a gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from paramscope.analysis.overlap import Budget
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import unbraced
from paramscope.rules.optimizer._members import foreign_members
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.sharing._forms import copy_of
from paramscope.rules.sharing._memory import is_quiet, meeting
from paramscope.snapshot import ForeignRecord, TensorSpec
from paramscope.snapshot.spans import Layout, layout_of

RULE = Rule(
    "PS411",
    "memory-stepped-twice",
    Severity.ERROR,
    needs="optimizer",
    yields_to=("PS301", "PS302", "PS306", "PS309"),
)


class _Member(NamedTuple):
    """What an optimizer holds, as far as memory goes."""

    order: tuple[int, int]
    """Foreign members, what is not registered, what is: of the last alone, other rules tell."""
    paths: tuple[str, ...]
    layout: Layout
    is_quiet: bool
    """Whether no step changes it, as it is frozen and holds no gradient that is known of."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Members that hang together by shared bytes, memory by memory."""
    budget = Budget()
    for members in _crowded(facts).values():
        if len(members) < 2:
            continue
        members.sort()
        groups, undecided = meeting(((member.layout, member) for member in members), budget)
        for group in groups:
            if len(group) > 1:
                yield _problem(facts, sorted(member for _, member in group))
        if undecided:
            yield Undecided(f"whether {members[0].paths[0]} shares memory with another member was not decided")


def _crowded(facts: Facts) -> dict[int, list[_Member]]:
    """Members by the memory they lie in, where there may be several."""
    columns, tensors = facts.snapshot.slot_columns, facts.snapshot.tensor_columns
    memory = facts.snapshot.memory
    held = [each for each in foreign_members(facts) if each.record.storage is not None]
    storages = {each.record.storage for each in held}
    slots: dict[int, list[int]] = {}
    for record in facts.snapshot.sharing:
        if record.kind in ("aliased", "overlapping"):
            for path in record.slots:
                slot = facts.slots.position(path)
                slots.setdefault(columns.tensors[slot], []).append(slot)
    if storages:
        # One storage may be known under several numbers, and foreign members name one of these.
        wanted = {memory.of(storage) for storage in storages if storage is not None}
        for slot, tensor in enumerate(columns.tensors):
            storage = tensors.storages[tensor] if tensor >= 0 else -1
            if storage >= 0 and memory.of(storage) in wanted:
                slots.setdefault(tensor, []).append(slot)
    found: dict[int, list[_Member]] = {}
    interned = facts.snapshot.interned.memberships
    for tensor, places in slots.items():
        spans = facts.spans(tensor)
        # Of several parts, some (a table of values, say) may well be common to all tensors of a kind.
        if len(spans) == 1 and interned[tensors.memberships[tensor]]:
            positions = sorted(set(places))
            rank = 2 if facts.snapshot.is_registered(positions[0]) else 1
            quiet = is_quiet(facts, positions)
            member = _Member((rank, positions[0]), tuple(facts.paths(positions)), spans[0].layout, quiet)
            found.setdefault(spans[0].memory, []).append(member)
    for each in held:
        layout = _layout(each.record)
        if layout is not None and each.record.storage is not None:
            span = memory.span(each.record.storage, layout)
            quiet = not each.record.requires_grad
            member = _Member((0, each.record.tensor), each.places, span.layout, quiet)
            found.setdefault(span.memory, []).append(member)
    return found


def _layout(record: ForeignRecord) -> Layout | None:
    spec = TensorSpec(
        "", record.shape, record.stride, record.dtype, record.device, record.layout, record.numel, record.nbytes
    )
    return layout_of(spec, record.offset or 0)


def _problem(facts: Facts, members: list[_Member]) -> Problem:
    first = [member.paths[0] for member in members]
    further = [path for member in members for path in member.paths[1:]]
    names = "{0} and {1}" if len(first) == 2 else f"{{0}}, {{1}} and {len(first) - 2:,} more"
    stepped = sum(not member.is_quiet for member in members)
    if stepped > 1:
        then = "each step changes that memory once for each."
    elif stepped:
        then = "but one is frozen" if len(first) == 2 else "but all but one are frozen"
        then += ": each step of the one that is not changes what looks frozen."
    else:
        then = "all of them frozen, so that no step changes that memory as long as none of them has a gradient."
    held = f"all in an optimizer{':' if stepped > 1 else ','}"
    return Problem(
        (*first, *further),
        f"{names} are different tensors that share memory, {held} {then}",
        ("As long as nothing trains them, nothing need be done. " if not stepped else "")
        + f"Hand only one of them to the optimizer{_copy(facts, first)}.",
        None if stepped else Severity.INFO,
        blame=None,
        is_apart=True,
    )


def _copy(facts: Facts, paths: list[str]) -> str:
    """The assignment that gives the model's own memory of its own."""
    for path in paths:
        if path in facts.slots and facts.slots[path].role == "parameter" and facts.slots[path].registered:
            copied = unbraced(copy_of(facts, path))
            return f"; or, before it is built, give one memory of its own: {copied}"
    return "; or, before it is built, give each memory of its own, by .detach().clone()"
