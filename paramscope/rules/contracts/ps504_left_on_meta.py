"""Some parameters are on the meta device, while others hold values.

What it finds
: Registered parameters on `meta` in a model whose other parameters are in memory. As information, buffers and plain
  tensors that were left there, and what an offloading hook keeps there.

Why it matters
: A meta tensor has no values: the first forward through it fails, or returns tensors without values, and the
  checkpoint that was loaded did not contain everything.

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

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.rule import Problem, Rule, Undecided

RULE = Rule("PS504", "left-on-meta", Severity.ERROR)

_FEW = 20
"""Parameters on meta for each real one from which on the real ones are the exception."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Slots on meta beside registered tensors that are not."""
    on_meta: list[SlotKind] = []
    real: list[SlotKind] = []
    for kind in facts.slot_kinds:
        if kind.spec is None or kind.spec.device is None:
            continue
        if kind.spec.device != "meta":
            if kind.is_registered:
                real.append(kind)
        elif kind.is_registered or (kind.role == "attribute" and not kind.is_hidden):
            on_meta.append(kind)
    on_meta_count, real_count = _parameters(on_meta), _parameters(real)
    # A model that is on meta as a whole is there to be looked at, whatever its buffers hold.
    if not on_meta or (on_meta_count and not real_count) or not real:
        return
    if on_meta_count > _FEW * real_count > 0 and not facts.oddities("offloaded"):
        yield _left_real(facts, [kind for kind in real if kind.role == "parameter"])
        return
    modules = facts.snapshot.slot_columns.modules
    for kind in on_meta:
        for slot in kind.slots:
            is_hooked = facts.is_offloaded(facts.modules.path_at(modules[slot]))
            yield _problem(facts.slots.path_at(slot), kind, is_hooked=is_hooked)


def _parameters(kinds: list[SlotKind]) -> int:
    return sum(len(kind.slots) for kind in kinds if kind.role == "parameter")


def _left_real(facts: Facts, kinds: list[SlotKind]) -> Problem:
    paths = facts.paths(sorted(slot for kind in kinds for slot in kind.slots))
    more = f" (and {len(paths) - 1:,} more)" if len(paths) > 1 else ""
    hold = "hold" if more else "holds"
    return Problem(
        tuple(paths),
        f"{{0}}{more} {hold} values, while the rest of the model is on the meta device: torch.Tensor(…) and the "
        "like ignore `with torch.device('meta')`.",
        "Nothing to do if the model is there to be looked at; else load it, or give it memory: model.to_empty(…).",
        Severity.INFO,
    )


def _problem(path: str, kind: SlotKind, *, is_hooked: bool) -> Problem:
    if is_hooked:
        return Problem(
            (path,),
            "On the meta device between uses: {0}. An offloading hook brings the values in for each forward.",
            "Nothing to do, unless the hook was to be gone: accelerate.hooks.remove_hook_from_submodules(model).",
            Severity.INFO,
            blame=None,
            alike="offloaded",
        )
    is_parameter = kind.role == "parameter"
    return Problem(
        (path,),
        "No values, on the meta device: {0}. Other tensors of the model hold some, and a forward that needs these "
        "fails.",
        "Load it, or give it memory and values: module.to_empty(device=…), then module.reset_parameters()."
        if is_parameter
        else "Make it where the parameters are, before the model runs.",
        None if is_parameter else Severity.INFO,
        alike=kind.role,
    )
