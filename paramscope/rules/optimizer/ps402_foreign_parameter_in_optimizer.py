"""An optimizer holds a tensor that the model does not have.

What it finds
: A member of a param group that is nowhere in the model: neither registered nor in any attribute that was examined.
  The line is the one in forward that creates what is there instead, or the one that replaced it after the optimizer
  was built; otherwise the one that builds the optimizer.

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
: If nothing looks like the tensor's replacement it is a warning: the audit may have been given only a part of what
  the optimizer trains, and some optimizers step float32 copies or flat vectors instead of the parameters. A single
  number that is learned beside the model, such as a temperature or the weight of a loss, is **info**.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import text
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal
from paramscope.rules.optimizer._lines import builder_of, forward_line
from paramscope.rules.optimizer._members import (
    ForeignMember,
    class_name,
    foreign_members,
    is_beside,
    is_master_copy,
    is_number,
)
from paramscope.rules.rule import Blame, Problem, Rule, Undecided
from paramscope.snapshot import OptimizerRecord, TensorRecord

_SHOWN = 3
"""Shapes and names that a message shows before it counts the rest."""
RULE = Rule("PS402", "foreign-parameter-in-optimizer", Severity.ERROR, needs="optimizer")


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Foreign members, with what replaced them."""
    unexplained: dict[str, list[ForeignMember]] = {}
    listed = {path: optimizer for optimizer in facts.optimizers for path in optimizer.listed}
    for foreign in foreign_members(facts):
        path = foreign.record.replaced_by
        tensor = None if path is None else _held(facts, path)
        if (path is None or tensor is None) and is_number(foreign.record) and is_beside(foreign.group):
            yield _number(foreign)
        elif path is None or tensor is None:
            unexplained.setdefault(foreign.optimizer.name, []).append(foreign)
        elif is_master_copy(foreign.record, tensor.spec.dtype):
            yield _problem(
                foreign,
                "The model does not have {0}, but weights in half precision of which it may be the float32 copy: "
                "nothing here tells whether what is stepped there comes back to them.",
                "If your trainer keeps such copies, declare this; else build the optimizer from the model's own "
                "parameters.",
                Severity.WARNING,
            )
        else:
            yield _replaced(facts, foreign, path, tensor, listed.get(path))
    for of_optimizer in unexplained.values():
        looks = _looks(of_optimizer)
        for foreign in of_optimizer:
            yield _problem(
                foreign,
                f"The model does not have {{0}}, {looks}: the optimizer steps something this audit does not see, or "
                "something nothing uses any more.",
                'If it belongs to another module, audit both: {"model": model, "criterion": criterion}. If it was '
                "part of this model, build the optimizer anew.",
                Severity.WARNING,
            )


def _held(facts: Facts, path: str) -> TensorRecord | None:
    """The tensor in a slot; None where a saved report names one that is not there."""
    slot = facts.slots.get(path)
    return None if slot is None or slot.tensor is None else facts.snapshot.tensor(slot.tensor)


def _problem(
    foreign: ForeignMember, message: str, instead: str, severity: Severity | None = None, paths: tuple[str, ...] = ()
) -> Problem:
    """paths: those that take part, if these are not the places of the member alone."""
    blame = builder_of(foreign.memberships)
    return Problem(paths or foreign.places, message, instead, severity, blame, foreign.optimizer.name)


def _looks(foreign_members: list[ForeignMember]) -> str:
    """What somebody may know tensors by: their shapes, and the names that the optimizer has for them."""
    shapes = list(dict.fromkeys(text.shape(each.record.shape) for each in foreign_members))
    looks = f"of shape{'s' if len(shapes) > 1 else ''} {_few(shapes)}"
    names = [literal(each.record.name) for each in foreign_members if each.record.name]
    return f"{looks}, which it knows as {_few(names)}" if names else looks


def _few(words: list[str]) -> str:
    more = [f"{len(words) - _SHOWN:,} more"] if len(words) > _SHOWN else []
    return text.listed(words[:_SHOWN] + more)


def _number(foreign: ForeignMember) -> Problem:
    return _problem(
        foreign,
        "The model does not have {0}: {0|a single number that is|single numbers that are} learned beside it, such as "
        "a temperature or the weight of a loss.",
        "As a Parameter of a module it would be moved and saved with the rest: self.log_alpha = "
        "nn.Parameter(torch.zeros(())).",
        Severity.INFO,
    )._replace(alike="number")


def _replaced(
    facts: Facts, foreign: ForeignMember, path: str, tensor: TensorRecord, wrapper: OptimizerRecord | None
) -> Problem:
    """wrapper: the optimizer that lists the path in groups of its own, while one within it steps."""
    paths = (foreign.places[0], path, *foreign.places[1:])
    record = foreign.record
    if record.storage is not None and record.storage == tensor.storage:
        return _problem(
            foreign,
            "The optimizer holds {0}, another tensor over the memory of {1}, and not that parameter: the gradients "
            "arrive at the parameter, and the step does not see them.",
            "Hand over the parameters themselves, model.parameters(): not .data, .detach() or a new nn.Parameter.",
            paths=paths,
        )
    made = forward_line(facts, path)
    if made is not None:
        return Problem(
            paths,
            "The forward makes {1} anew, in the place of {0}: the optimizer keeps stepping the old one, and the new "
            "one is never trained.",
            "Make it once, in __init__, and compute what is derived from it in forward, under another name; a layer "
            "whose size is known in forward only can be a Lazy layer, such as nn.LazyLinear.",
            blame=made,
            alike=(foreign.optimizer.name, made.at),
        )
    within = (
        ""
        if wrapper is None
        else f" {literal(wrapper.type.rpartition('.')[2])} lists it in param groups of its own, but it is the "
        f"{literal(class_name(wrapper))} within it that steps."
    )
    return Problem(
        paths,
        "It seems {1} took the place of {0} after the optimizer was built, which goes on stepping what was "
        f"there before: what is there now is never trained.{within}",
        "Build the optimizer once the model is complete; to change the values afterwards, write into {1} in place: "
        "copy_(…) under torch.no_grad().",
        blame=Blame.replaced(path, foreign.optimizer.name),
        alike=foreign.optimizer.name,
    )
