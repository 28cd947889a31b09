"""A dict that looks like a copy of the weights is the weights themselves.

What it finds
: A dict in an attribute whose tensors lie over the registered parameters and buffers of the same names: what
  `state_dict()` returns, or `{name: p.detach() for name, p in model.named_parameters()}`. The line is
  the one that puts it there, also in the class of an object that keeps it.

Why it matters
: These tensors share the parameters' memory. What was kept as the best weights so far changes with every step, and to
  load it back changes nothing.

Example
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 2)
        self.best = self.state_dict()

model = Net()
```

Instead
```python
import copy
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 2)
        self.best = copy.deepcopy(self.state_dict())

model = Net()
```

When it is wrong to follow it
: A dict that is meant to show the weights as they are, for a functional call, say. The Parameters themselves
  (`dict(model.named_parameters())`) say that better, and are not reported.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.finding import Severity
from paramscope.rules.code import as_code
from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.rules.sharing._memory import registered_parameters, slots_in
from paramscope.snapshot import ATTRIBUTE
from paramscope.source.steps import to_steps

RULE = Rule("PS310", "live-state-dict-kept", Severity.WARNING)


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Dicts of which every tensor lies where the registered slot of its name does."""
    alive: dict[tuple[int, str], set[int]] = {}
    """By (module, text of the way to the dict), the slots that do."""
    with_parameters: set[tuple[int, str]] = set()
    slots = facts.snapshot.slot_columns
    for together in slots_in(facts, "aliased"):
        registered = [facts.slots.path_at(slot) for slot in together if facts.snapshot.is_registered(slot)]
        has_parameter = bool(registered_parameters(facts, together))
        for slot in together if registered else ():
            if slots.holds[slot] != ATTRIBUTE:
                continue
            container, key = _entry(slots.names[slot])
            if key and any(path == key or path.endswith(f".{key}") for path in registered):
                place = slots.modules[slot], container
                alive.setdefault(place, set()).add(slot)
                if has_parameter:
                    with_parameters.add(place)
    for module, container in sorted(with_parameters):
        there = [
            slot
            for slot in range(facts.first_slots[module], facts.first_slots[module + 1])
            if slots.holds[slot] == ATTRIBUTE and _entry(slots.names[slot])[0] == container
        ]
        # What reaches no byte lies nowhere.
        there = [slot for slot in there if facts.spans(slots.tensors[slot])]
        if set(there) <= alive[module, container]:
            yield _problem(facts, module, container, there)


def _problem(facts: Facts, module: int, container: str, entries: list[int]) -> Problem:
    code = as_code(container, "self")
    more = f" and {len(entries) - 1:,} more" if len(entries) > 1 else ""
    return Problem(
        tuple(facts.paths(entries)),
        f"{{0}}{more} are the parameters' own memory under their names: what {literal(container)} holds changes with "
        "every step, and to load it back changes nothing.",
        f"Keep a copy: {literal(code)} = copy.deepcopy(….state_dict())."
        if code is not None
        else "Keep a copy: copy.deepcopy(….state_dict()).",
        alike=(facts.modules.at(module).type, container),
        cause="live",
    )


def _entry(name: str) -> tuple[str, str]:
    """(the way to the dict, the key) of what lies in a dict under a text; empty ones for anything else."""
    if not name.endswith(("']", '"]')):
        return "", ""
    start = name.rfind("['")
    key = name[start + 2 : -2]
    if start >= 0 and name[-2] == "'" and "'" not in key and "\\" not in key:
        return name[:start], key
    last = to_steps(name)[-1]
    for quoted in (repr(last.text), f"'{last.text}'", f'"{last.text}"'):
        if name.endswith(f"[{quoted}]"):
            return name.removesuffix(f"[{quoted}]"), last.text
    return "", ""
