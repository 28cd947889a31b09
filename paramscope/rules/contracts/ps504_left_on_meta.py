"""Some parameters are on the meta device, while others hold values.

What it finds
: Registered parameters on `meta` in a model of which other parameters lie in memory. As information, buffers and plain
  tensors that are left there, and what an offloading hook keeps there.

Why it matters
: A meta tensor has no values: the first forward through it fails, or gives tensors without values, and a checkpoint
  that was loaded without it is not all there.

Example
```python
from torch import nn

model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta"))
```

Instead
```python
from torch import nn

model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta"))
model[1].to_empty(device="cpu")
model[1].reset_parameters()
```

When it is wrong to follow it
: Offloading hooks keep weights on meta between uses, and buffers on meta may be filled later: information only.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS504", "left-on-meta", Severity.ERROR)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Slots on meta beside registered tensors that are not."""
    on_meta: list[SlotKind] = []
    real: set[str] = set()
    is_any_parameter = False
    for kind in facts.slot_kinds:
        if kind.spec is None or kind.spec.device is None:
            continue
        is_any_parameter = is_any_parameter or (kind.role == "parameter" and kind.is_registered)
        if kind.spec.device != "meta":
            if kind.is_registered:
                real.add(kind.role)
        elif kind.is_registered or (kind.role == "attribute" and not kind.is_hidden):
            on_meta.append(kind)
    # A model that is on meta as a whole is there to be looked at, whatever its buffers hold.
    if not on_meta or ("parameter" if is_any_parameter else "buffer") not in real:
        return
    offloaded = {mark.path for mark in facts.marks("offloaded")}
    modules = facts.snapshot.slot_columns.modules
    for kind in on_meta:
        for slot in kind.slots:
            is_hooked = bool(offloaded) and _is_below(facts.modules.path_at(modules[slot]), offloaded)
            yield _problem(facts.slots.path_at(slot), kind, is_hooked=is_hooked)


def _problem(path: str, kind: SlotKind, *, is_hooked: bool) -> Problem:
    if is_hooked:
        return Problem(
            (path,),
            "{0} is on the meta device between uses: an offloading hook brings its values in for each forward.",
            "Nothing to do, unless the hook was to be gone: accelerate.hooks.remove_hook_from_submodules(model).",
            Severity.INFO,
            blame=None,
            alike="offloaded",
        )
    is_parameter = kind.role == "parameter"
    return Problem(
        (path,),
        "{0} is on the meta device, where it has no values, while other tensors of the model hold some: a forward "
        "that needs it fails.",
        "Load it, or give it memory and values: module.to_empty(device=…), then module.reset_parameters()."
        if is_parameter
        else "Make it where the parameters are, before the model runs.",
        None if is_parameter else Severity.INFO,
        alike=kind.role,
    )


def _is_below(module: str, hooked: set[str]) -> bool:
    """Whether a module, or one above it, has such a hook."""
    while module not in hooked:
        if not module:
            return False
        module = module.rpartition(".")[0]
    return True
