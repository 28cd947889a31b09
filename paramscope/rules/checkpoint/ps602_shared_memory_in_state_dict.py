"""`safetensors.torch.save_file` will refuse this state_dict.

What it finds
: Names in `state_dict()` whose tensors share memory: ties, aliases and overlapping views of one storage. These are
  the sets that safetensors names when it refuses, determined the way it does.

  For a transformers model it also says whether `save_pretrained()` knows of the tie: unless its class declares it in
  `_tied_weights_keys`, that raises, too.

Why it matters
: `save_file` raises "Some tensors share memory", often at the end of a long training. `torch.save` takes them.

Example
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10)
        self.head.weight = self.embed.weight

model = Net()
```

Instead
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)

    def forward(self, tokens):
        return self.embed(tokens) @ self.embed.weight.t()

model = Net()
```

When it is wrong to follow it
: Nearly always: there is nothing wrong with a tie. Keep it, and write it with `safetensors.torch.save_model(model,
  file)`, with transformers' `save_pretrained()` where the class declares the tie, or with `torch.save`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from paramscope.report.finding import Severity
from paramscope.rules.checkpoint._pretrained import said_of_pretrained
from paramscope.rules.facts import Facts
from paramscope.rules.naming import placeholders
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.sharing._causes import by_cause
from paramscope.rules.sharing._memory import last_assigned
from paramscope.snapshot import ATTRIBUTE, TRANSIENT_BUFFER
from paramscope.snapshot.path import is_at_or_below
from paramscope.snapshot.spans import extent

RULE = Rule("PS602", "shared-memory-in-state-dict", Severity.INFO)

_SAVE_MODEL = (
    "Write it with torch.save, or with safetensors.torch.save_model(model, file), which keeps one name for each "
    "memory."
)
_CLONE = (
    "Use torch.save, or copy each before saving: {name: tensor.contiguous().clone() for name, tensor in "
    "model.state_dict().items()}."
)


class _Area(NamedTuple):
    """The bytes from the first to the last that a tensor reaches, which is all that safetensors looks at."""

    start: int
    stop: int
    path: str
    slot: int


class _Block(NamedTuple):
    """What safetensors takes for one storage: it compares address and size."""

    root: str
    device: int
    memory: int
    start: int
    nbytes: int


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Names of one root's state_dict that hang together in memory."""
    yield from by_cause(facts, _problems(facts))


def _problems(facts: Facts) -> Iterator[Problem | Undecided]:
    slots, uncertain = facts.snapshot.slot_columns, facts.snapshot.module_columns.unknown
    found = [(block, together) for block, areas in _areas(facts).items() for together in _sets(areas)]
    for block, together in sorted(found, key=lambda each: each[1][0].slot):
        if any(slots.modules[area.slot] in uncertain for area in together):
            records = [facts.slots.at(area.slot) for area in together]
            unknown = next((record for record in records if record.saved is None), None)
            if unknown is not None:
                yield Undecided(f"what state_dict() contains is not known: {dict(unknown.unknown)['saved']}")
                continue
        # It keeps the name of a tensor that is the whole storage, and refuses where there is none.
        has_whole = any((area.start, area.stop) == (block.start, block.start + block.nbytes) for area in together)
        is_one = len({(area.start, area.stop) for area in together}) == 1
        said = said_of_pretrained(facts, [area.path for area in together], is_one=is_one)
        paths = tuple(area.path for area in together)
        yield Problem(
            paths,
            f"safetensors.torch.save_file() will refuse this state_dict{said.refuses}: "
            f"{{0}} {{0|shares|share}} memory with {placeholders(len(together), 1)}.",
            said.help or (_SAVE_MODEL if has_whole else _CLONE),
            blame=last_assigned(facts, paths, "view"),
            alike=said.kind if said.kind else has_whole,
            cause="view",
            is_apart=True,
        )


def _areas(facts: Facts) -> dict[_Block, list[_Area]]:
    """What is saved of the storages that several slots view."""
    snapshot = facts.snapshot
    slots, tensors, storages = snapshot.slot_columns, snapshot.tensor_columns, snapshot.storage_columns
    found: dict[_Block, list[_Area]] = {}
    met: set[int] = set()
    paths = [path for record in snapshot.sharing if record.kind != "self-overlapping" for path in record.slots]
    for slot, path in zip(facts.slots.positions(paths), paths, strict=True):
        tensor = slots.tensors[slot]
        if slot in met or slots.holds[slot] in (ATTRIBUTE, TRANSIENT_BUFFER) or not snapshot.is_registered(slot):
            continue
        met.add(slot)
        spans = facts.spans(tensor)
        # What is made of other tensors is saved by other means, and so is what has no elements.
        if len(spans) != 1 or tensor in tensors.parts:
            continue
        ((storage, memory, layout),) = spans
        start = snapshot.memory.start(storage)
        block = _Block(_root(facts, path), storages.devices[storage], memory, start, storages.nbytes[storage])
        found.setdefault(block, []).append(_Area(layout[0], layout[0] + extent(layout), path, slot))
    return found


def _sets(areas: list[_Area]) -> Iterator[list[_Area]]:
    """The sets of more than one that safetensors names, each in the model's order.

    NOTE: as safetensors 0.8 does it, an area is compared with the one before it, not with all that lie before.
    """
    together: list[_Area] = []
    for area in sorted(areas):
        if together and area.start >= together[-1].stop:
            if len(together) > 1:
                yield sorted(together, key=lambda each: each.slot)
            together = []
        together.append(area)
    if len(together) > 1:
        yield sorted(together, key=lambda each: each.slot)


def _root(facts: Facts, path: str) -> str:
    """The root that saves a slot."""
    roots = [root for root in facts.snapshot.roots if is_at_or_below(path, root)]
    return max(roots, key=len, default="")
