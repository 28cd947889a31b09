"""An optimizer holds a tensor that the model does not have.

What it finds
: A member of a param group that is nowhere in the model: neither registered nor in any attribute that was looked
  into.

Why it matters
: Usually the parameter was replaced after the optimizer was built. The optimizer goes on stepping the old tensor,
  which nothing uses any more, and the new one is never trained.

Example
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
optimizer = torch.optim.Adam(model.parameters())
model[1].weight = nn.Parameter(torch.zeros(2, 8))
```

Instead
```python
import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
optimizer = torch.optim.Adam(model.parameters())
with torch.no_grad():
    model[1].weight.zero_()
```

When it is wrong to follow it
: Where nothing looks like what took the tensor's place it is a warning: the audit may have been given a part of what
  the optimizer trains, and some optimizers step copies in float32, or flat vectors, in place of the parameters.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.optimizer._members import Stranger, is_master_copy, strangers
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import SlotRecord

RULE = Rule("PS402", "foreign-parameter-in-optimizer", Severity.ERROR, needs="optimizer")

_TOLD_BY = {
    "name": "told by its name",
    "position": "told by its position among the members",
    "shape": "told by its shape",
}


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Strangers, with what replaced them."""
    for stranger in strangers(facts):
        slot = _replacement(facts, stranger)
        if slot is None:
            yield _unexplained(stranger)
        elif is_master_copy(stranger.record, slot.dtype):
            yield Problem(
                stranger.places,
                "The model does not have {0}, but weights in half precision of which it may be the float32 copy: "
                "nothing here tells whether what is stepped there comes back to them.",
                "If your trainer keeps such copies, declare this; else build the optimizer from the model's own "
                "parameters.",
                Severity.WARNING,
                blame=None,
            )
        else:
            yield _replaced(stranger, slot)


def _replacement(facts: Facts, stranger: Stranger) -> SlotRecord | None:
    path = stranger.record.replaced_by
    try:
        return None if path is None else facts.slots[path]
    except KeyError:
        return None


def _unexplained(stranger: Stranger) -> Problem:
    return Problem(
        stranger.places,
        "The model does not have {0}: the optimizer steps what this audit does not see, or what nothing uses any "
        "more.",
        'If it belongs to another module, audit both: {"model": model, "criterion": criterion}. If it was part of '
        "this model, build the optimizer anew.",
        Severity.WARNING,
        blame=None,
    )


def _replaced(stranger: Stranger, slot: SlotRecord) -> Problem:
    paths = (stranger.places[0], slot.path, *stranger.places[1:])
    record = stranger.record
    if record.storage is not None and record.storage == slot.storage:
        return Problem(
            paths,
            "The optimizer holds {0}, another tensor over the memory of {1}, and not that parameter: the gradients "
            "arrive at the parameter, and the step does not see them.",
            "Hand over the parameters themselves, model.parameters(): not .data, .detach() or a new nn.Parameter.",
            blame=None,
        )
    return Problem(
        paths,
        f"{{1}} took the place of {{0}} ({_TOLD_BY.get(record.evidence or '', 'so it looks')}) after the optimizer "
        "was built, which goes on stepping what was there before: the new one is never trained.",
        "Build the optimizer once the model is complete; to change the values afterwards, write into {1} in place: "
        "copy_(…) under torch.no_grad().",
        blame=None,
    )
