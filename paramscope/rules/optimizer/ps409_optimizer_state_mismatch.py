"""The optimizer's state no longer fits its parameter.

What it finds
: Averages and momenta of a torch.optim class (`exp_avg`, `exp_avg_sq`, `momentum_buffer`, `square_avg`, `sum`, …)
  of another shape than their parameter, or on another device; and, of the classes whose step then raises, in
  another dtype: Adam, AdamW, NAdam, RAdam, Adamax, Adafactor, Muon, a centered RMSprop, and whatever is fused.

Why it matters
: The next step raises, or broadcasts one over the other. It happens when `.data` is assigned a tensor of another
  shape, and when a model is moved or cast (`.half()`, `.bfloat16()`, `.double()`) after the optimizer took its first
  step or loaded its state.

Example
```python
import torch
from torch import nn

model = nn.Linear(4, 2)
optimizer = torch.optim.Adam(model.parameters())
model(torch.ones(1, 4)).sum().backward()
optimizer.step()
optimizer.zero_grad()
model.weight.data = torch.zeros(3, 4)
```

Instead
```python
import torch
from torch import nn

model = nn.Linear(4, 2)
optimizer = torch.optim.Adam(model.parameters())
model(torch.ones(1, 4)).sum().backward()
optimizer.step()
optimizer.zero_grad()
model.weight.data = torch.zeros(3, 4)
optimizer = torch.optim.Adam(model.parameters())
```

When it is wrong to follow it
: Where the state is moved off the device between steps and brought back by hand. State that is a single number or
  flat is ignored, and so is the dtype of what SGD, Adagrad, Adadelta, ASGD, Rprop, SparseAdam and RMSprop keep, which
  tolerate it, and of what is frozen. For optimizers other than torch's own the rule is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope import text
from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.optimizer._members import class_name, member_paths, place, torch_class
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import GroupRecord, OptimizerRecord, StateRecord

RULE = Rule("PS409", "optimizer-state-mismatch", Severity.ERROR, needs="optimizer")
_FACTORED = ("row_var", "col_var")
"""State of Adafactor that has no element for each of the parameter's."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """What capture found unfit, parameter by parameter."""
    for optimizer in facts.optimizers:
        if torch_class(optimizer) is None:
            if any(group.state_nbytes for group in optimizer.groups):
                yield Undecided(f"what {class_name(optimizer)} keeps for a parameter is not known")
            continue
        for group in optimizer.groups:
            if group.misfits:
                yield from _unfit(facts, optimizer, group)


def _unfit(facts: Facts, optimizer: OptimizerRecord, group: GroupRecord) -> Iterator[Problem]:
    paths = member_paths(group)
    foreign = {each.position: each for each in group.foreign}
    by_position: dict[int, list[StateRecord]] = {}
    for misfit in group.misfits:
        by_position.setdefault(misfit.position, []).append(misfit)
    for position, misfits in by_position.items():
        path = paths[position] if position < len(paths) else None
        member = foreign.get(position) if path is None else facts.slots[path]
        if member is None:
            continue
        first = misfits[0]
        names = text.listed([misfit.name for misfit in misfits])
        is_of_shape = first.shape == member.shape or first.name in _FACTORED
        is_cast = is_of_shape and first.dtype != member.dtype and first.device == member.device
        if is_cast:
            # A cast is one cause, whatever it is that is kept for each parameter.
            names = text.listed(list(dict.fromkeys(misfit.name for misfit in group.misfits)))
            how = f"is in {first.dtype}, but {{0}} in {member.dtype}"
        elif not is_of_shape:
            how = f"has the shape {text.shape(first.shape)}, but {{0}} has {text.shape(member.shape)}"
        else:
            how = f"lies on {first.device}, but {{0}} on {member.device}"
        yield Problem(
            (place(optimizer, group.index, position) if path is None else path,),
            f"The state that {class_name(optimizer)} keeps ({names}) {how}: the next step fails.",
            "Build the optimizer anew after changing a parameter's shape, device or dtype, or change the state with "
            "it: optimizer.state[parameter].",
            blame=None,
            alike=("cast", optimizer.name) if is_cast else None,
        )
