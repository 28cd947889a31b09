"""A buffer or an attribute is a view of a parameter's memory.

What it finds
: A buffer or plain attribute, not a Parameter, that occupies bytes of a registered parameter: what `view`, `reshape`,
  `t()`, `detach()`, `.data` and slices return, under `no_grad` too, and the `x` of `nn.Parameter(x)`.

Why it matters
: It changes as the parameter is trained, and goes stale when `.to()` or `load_state_dict(assign=True)` gives the
  parameter new memory: it then holds the old values in the old place.

Example
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3, 4))
        self.flipped = self.weight.detach().t()

model = Net()
```

Instead
```python
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3, 4))

    @property
    def flipped(self):
        return self.weight.t()

model = Net()
```

When it is wrong to follow it
: Where the sharing is intended, as with one flat tensor that holds all weights, keep it: this is information only.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate

from paramscope.analysis.overlap import Budget, share_bytes
from paramscope.report.finding import Severity
from paramscope.rules.code import to_code
from paramscope.rules.facts import Facts
from paramscope.rules.naming import unbraced
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.sharing._forms import is_contiguous
from paramscope.rules.sharing._memory import is_trainable, registered_parameters, slots_in
from paramscope.snapshot import ATTRIBUTE, PARAMETER
from paramscope.snapshot.spans import Layout, extent

RULE = Rule("PS307", "aliased-by-unregistered", Severity.INFO, yields_to=("PS310",))


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Buffers and attributes over the memory of registered parameters."""
    viewed: dict[int, dict[int, None]] = {}
    tensors = facts.snapshot.slot_columns.tensors
    budget = Budget()
    is_undecided = False
    for slots in slots_in(facts, "aliased"):
        parameters = registered_parameters(facts, slots)
        for slot in _views(facts, slots, parameters):
            viewed.setdefault(slot, {}).update(dict.fromkeys(held[0] for held in parameters.values()))
    for slots in slots_in(facts, "overlapping"):
        parameters = registered_parameters(facts, slots)
        views = _views(facts, slots, parameters)
        if not views or not parameters:
            continue
        spread = _Spread(facts, parameters)
        for slot in views:
            for tensor, meets in spread.meeting(tensors[slot], budget):
                is_undecided = is_undecided or meets is None
                if meets:
                    viewed.setdefault(slot, {})[parameters[tensor][0]] = None
    for slot in sorted(viewed):
        yield _problem(facts, slot, sorted(viewed[slot]))
    if is_undecided:
        yield Undecided("whether some views share elements with parameters was not decided")


def _views(facts: Facts, slots: Iterable[int], parameters: dict[int, list[int]]) -> list[int]:
    """Of slots over one memory those that are buffers, or attributes that nothing else is said of."""
    if not parameters:
        return []
    columns, found = facts.snapshot.slot_columns, []
    for slot in slots:
        tensor = columns.tensors[slot]
        if columns.holds[slot] == PARAMETER or tensor in parameters or tensor in facts.recomputed_tensors:
            continue
        # A Parameter or a leaf that requires grad is hidden, and that is worse.
        if facts.snapshot.status(slot) != "hidden" or tensor in facts.cut_views:
            found.append(slot)
    return found


class _Spread:
    """Parameters by where they lie, to find those that may meet a view without looking at all of them."""

    def __init__(self, facts: Facts, parameters: Iterable[int]) -> None:
        self._facts = facts
        self._spans: dict[int, list[tuple[Layout, int]]] = {}
        for tensor in parameters:
            for span in facts.spans(tensor):
                self._spans.setdefault(span.memory, []).append((span.layout, tensor))
        self._reach: dict[int, list[int]] = {}
        for memory, spans in self._spans.items():
            spans.sort()
            self._reach[memory] = list(accumulate((layout[0] + extent(layout) for layout, _ in spans), max))

    def meeting(self, tensor: int, budget: Budget) -> Iterator[tuple[int, bool | None]]:
        """Parameters, by tensor, that may have bytes in common with a view; and whether they have."""
        for span in self._facts.spans(tensor):
            spans, reach = self._spans.get(span.memory, []), self._reach.get(span.memory, [])
            begin, end = span.layout[0], span.layout[0] + extent(span.layout)
            at = bisect_left(spans, end, key=lambda each: each[0][0]) - 1
            while at >= 0 and reach[at] > begin:
                layout, parameter = spans[at]
                at -= 1
                if layout[0] + extent(layout) > begin:
                    meets = share_bytes(layout, span.layout, budget) if budget.take(1) else None
                    if meets is not False:
                        yield parameter, meets


def _problem(facts: Facts, slot: int, parameters: list[int]) -> Problem:
    columns, tensors = facts.snapshot.slot_columns, facts.snapshot.tensor_columns
    name, is_buffer = columns.names[slot], columns.holds[slot] != ATTRIBUTE
    spec = facts.snapshot.interned.specs[tensors.specs[columns.tensors[slot]]]
    others = f" and of {len(parameters) - 1:,} more" if len(parameters) > 1 else ""
    follows = (
        "{0|changes|change} as that is trained, and "
        if any(is_trainable(facts, [each]) for each in parameters)
        else ""
    )
    owner = facts.snapshot.module_columns.types[columns.modules[slot]]
    kind = _CONTIGUITY[is_contiguous(spec.shape or (), spec.stride or ())]
    what = "{0|a buffer|buffers}" if is_buffer else "{0|an attribute|attributes}"
    whole = unbraced(to_code(facts, facts.slots.path_at(parameters[0])))
    return Problem(
        (facts.slots.path_at(slot), *facts.paths(parameters)),
        f"{{0}}, {what}, {{0|is a {kind} view|are {kind} views}} of the memory of {{1}}{others}: {{0|it|they}} "
        f"{follows}{{0|goes|go}} stale when .to() moves that.",
        f"Make it in forward of what it is a view of, {whole}; "
        "or, if it is to keep these values, copy them: .detach().clone().",
        # What lies in one attribute was made by one line.
        alike=(owner, is_buffer, name if is_buffer else _STEP.split(name, maxsplit=1)[0]),
        cause="view",
        is_apart=True,
    )


_STEP = re.compile(r"(?<!^)(?=\[|\{|->)")
_CONTIGUITY = {True: "contiguous", False: "non-contiguous"}
