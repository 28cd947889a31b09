"""What looks like a copy of the weights is the weights themselves.

What it finds
: A dict in an attribute whose tensors lie over the registered parameters and buffers of the same names: what
  `state_dict()` returns, or `{name: p.detach() for name, p in model.named_parameters()}`. Also a list, a tuple, a
  dict under other names, or a series of buffers whose tensors are views of all parameters of one module: `[p.data for
  p in model.parameters()]`; and one that holds the Parameters themselves, if its name says it is a copy (`self.best`,
  `self.initial`). The line is the one that stores it, even in the class of another object.

Why it matters
: These tensors share the parameters' memory. What was kept as the best weights so far changes with every step, and
  loading it back changes nothing.

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
: A dict or list that is meant to show the current weights, for a functional call, say. It is not reported if its
  class makes that clear: the forward or a property fills it, or `_apply` or `train` drops it, and no method copies it
  back into parameters. The Parameters themselves (`dict(model.named_parameters())`) make it clearer still, and are
  not reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from paramscope import source
from paramscope.report.finding import Severity
from paramscope.rules.code import as_code
from paramscope.rules.facts import Facts
from paramscope.rules.naming import literal
from paramscope.rules.registration._assigned import assigned, uses
from paramscope.rules.rule import Blame, Problem, Rule, Undecided
from paramscope.rules.sharing._backups import Backup, backups
from paramscope.rules.sharing._memory import place_of, registered_parameters, slots_in
from paramscope.snapshot import ATTRIBUTE, PARAMETER, REGISTERED, REQUIRES_GRAD, TRANSIENT_BUFFER
from paramscope.snapshot.path import to_steps
from paramscope.text import name as printable

RULE = Rule("PS310", "live-state-dict-kept", Severity.WARNING)

_DROPPING = ("_apply", "train", "eval", "to", "cuda", "requires_grad_", "load_state_dict", "_load_from_state_dict")


class _Kept(NamedTuple):
    """A container, or the buffers of one module."""

    module: int
    container: str
    """The way to it from the module that holds it; empty for buffers."""
    slots: tuple[int, ...]
    """All that lie in it and reach any byte."""


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Containers of which every tensor lies where a registered slot does: that of its name, or each of a module's."""
    views = _views(facts)
    named, with_parameters = _under_their_names(facts)
    for kept in _containers(facts, views):
        place = kept.module, kept.container
        is_named = place in with_parameters and set(kept.slots) <= named[place]
        if (is_named or _is_complete(facts, kept, views)) and not _is_cache(facts, kept):
            yield _problem(facts, kept, is_named=is_named)
    for backup in backups(facts) if facts.snapshot.aliases else ():
        tensors = facts.snapshot.slot_columns.tensors
        if frozenset(tensors[facts.slots.position(path)] for path in backup.parameters) in _sets(facts):
            yield _of_parameters(facts, backup)


def _views(facts: Facts) -> dict[int, int]:
    """Slots that lie exactly over something registered: by position, the tensor of that. Of buffers, only those
    that lie over a parameter."""
    found: dict[int, int] = {}
    columns = facts.snapshot.slot_columns
    for together in slots_in(facts, "aliased"):
        parameters = registered_parameters(facts, together)
        buffers = {
            columns.tensors[slot]
            for slot in together
            if columns.holds[slot] not in (ATTRIBUTE, PARAMETER) and facts.snapshot.is_registered(slot)
        }
        places = {place_of(facts, tensor): tensor for tensor in (*buffers, *parameters) if tensor >= 0}
        for slot in together:
            tensor, hold = columns.tensors[slot], columns.holds[slot]
            over = places.get(place_of(facts, tensor)) if tensor >= 0 and hold != PARAMETER else None
            if over is None or over == tensor or tensor in parameters or tensor in facts.recomputed_tensors:
                continue
            if hold == ATTRIBUTE or over in parameters:
                found[slot] = over
    return found


def _under_their_names(facts: Facts) -> tuple[dict[tuple[int, str], set[int]], set[tuple[int, str]]]:
    """By (module, the way to a dict), the slots in it that lie over registered ones of their keys; and which of these
    dicts have a parameter among them."""
    alive: dict[tuple[int, str], set[int]] = {}
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
    return alive, with_parameters


def _containers(facts: Facts, views: dict[int, int]) -> Iterator[_Kept]:
    """Whatever holds views of parameters."""
    slots, tensors = facts.snapshot.slot_columns, facts.snapshot.tensor_columns
    places: dict[tuple[int, str], None] = {}
    for slot in (slot for slot in views if slots.holds[slot] == ATTRIBUTE):
        container = _container(slots.names[slot])
        if container:
            places[slots.modules[slot], container] = None
    for module, container in sorted(places):
        there = [
            slot
            for slot in facts.snapshot.tree.slots_of(module)
            if slots.holds[slot] == ATTRIBUTE and _container(slots.names[slot]) == container
        ]
        # What reaches no byte lies nowhere.
        kept = tuple(slot for slot in there if facts.spans(slots.tensors[slot]))
        if kept:
            yield _Kept(module, container, kept)
    of_buffers: dict[int, list[int]] = {}
    for slot in views:
        if slots.holds[slot] not in (ATTRIBUTE, PARAMETER) and tensors.specs[slots.tensors[slot]] >= 0:
            of_buffers.setdefault(slots.modules[slot], []).append(slot)
    for module, buffers in sorted(of_buffers.items()):
        yield _Kept(module, "", tuple(sorted(buffers)))


def _is_complete(facts: Facts, kept: _Kept, views: dict[int, int]) -> bool:
    """Whether all parameters of one module, or all that are trained, lie there, several of them, and nothing else."""
    over = frozenset(views[slot] for slot in kept.slots if slot in views)
    return len(over) > 1 and all(slot in views for slot in kept.slots) and over in _sets(facts)


def _is_listed(name: str) -> bool:
    return name.endswith("]") and name[:-1].rpartition("[")[2].isdecimal()


def _sets(facts: Facts) -> frozenset[frozenset[int]]:
    """For each module the parameters in it and below; of these the ones that require grad; and the parameters with
    the buffers, or with those of them that are saved."""
    return facts.once("sets-of-parameters", lambda: frozenset(_find_sets(facts)))


def _find_sets(facts: Facts) -> Iterator[frozenset[int]]:
    slots, flags = facts.snapshot.slot_columns, facts.snapshot.tensor_columns.flags
    own: dict[int, set[tuple[int, int]]] = {}
    for slot, hold in enumerate(slots.holds):
        if hold != ATTRIBUTE and slots.tensors[slot] >= 0 and facts.snapshot.is_registered(slot):
            own.setdefault(slots.modules[slot], set()).add((slots.tensors[slot], hold))
    parents = facts.parents
    below: dict[int, set[tuple[int, int]]] = {}
    for module in range(len(parents) - 1, -1, -1):
        # NOTE: children stand after their parents.
        held = below.pop(module, set()) | own.get(module, set())
        parameters = frozenset(tensor for tensor, hold in held if hold == PARAMETER)
        if parameters:
            yield parameters
            yield frozenset(tensor for tensor in parameters if flags[tensor] & REQUIRES_GRAD)
            yield frozenset(tensor for tensor, _ in held)
            yield frozenset(tensor for tensor, hold in held if hold != TRANSIENT_BUFFER)
        if held and parents[module] >= 0 and facts.snapshot.module_columns.flags[module] & REGISTERED:
            below.setdefault(parents[module], set()).update(held)


def _is_cache(facts: Facts, kept: _Kept) -> bool:
    """Whether the class says that it is for use in forward: filled there or by a property, or dropped when the model
    is moved, and never put back into parameters."""
    if not kept.container:
        return False
    slot = facts.slots.at(kept.slots[0])
    use = uses(facts, facts.modules[slot.module].type)
    attribute = to_steps(slot.name)[0].text
    if use.is_loaded_back(attribute):
        return False
    found = assigned(facts, slot)
    return (
        found.is_only_forward or found.is_of_property or any(use.is_named_in(attribute, each) for each in _DROPPING)
    )


def _problem(facts: Facts, kept: _Kept, *, is_named: bool) -> Problem:
    entries = kept.slots
    more = f" and {len(entries) - 1:,} more" if len(entries) > 1 else ""
    are = "are" if more else "is"
    first = to_steps(facts.slots.at(entries[0]).name)[0].text
    what = f"what {printable(first)} holds" if kept.container else "these buffers"
    names = " under their names" if is_named else ""
    change = "changes" if kept.container else "change"
    them = "it" if kept.container else "them"
    return Problem(
        tuple(facts.paths(entries)),
        f"{{0}}{more} {are} the parameters' own memory{names}: {what} {change} with every step, and loading {them} "
        "back changes nothing.",
        _copy(kept, is_named=is_named),
        alike=(facts.modules.at(kept.module).type, kept.container),
        cause="live",
    )


def _of_parameters(facts: Facts, backup: Backup) -> Problem:
    type = facts.modules.at(backup.module).type
    name = literal(backup.attribute)
    lines = source.search.locate_attribute(facts.snapshot.classes, type, backup.attribute).assignments
    return Problem(
        backup.parameters,
        f"self.{name} holds the Parameters themselves, {{0}} and {len(backup.parameters) - 1:,} more, and no copy of "
        "them: what lies there changes with every step, and loading it back changes nothing.",
        f"Keep copies in self.{name}: p.detach().clone() for each parameter p.",
        blame=Blame.line(lines[0]) if lines else None,
        alike=(type, backup.attribute),
        is_apart=True,
    )


def _copy(kept: _Kept, *, is_named: bool) -> str:
    """What to write; in words, where no one line of code fits the place."""
    if not kept.container:
        return "Keep copies: self.register_buffer(name, p.detach().clone())."
    if is_named:
        # What stands in a list was appended, as a rule, and is not written by its number.
        is_listed = any(_is_listed(f"{part}]") for part in kept.container.split("]"))
        copied, code = "copy.deepcopy(….state_dict())", None if is_listed else as_code(kept.container, "self")
        return f"Keep a copy there: {copied}." if code is None else f"Keep a copy: {literal(code)} = {copied}."
    return "Keep copies: p.detach().clone() for each parameter p, in place of the parameters or views of them."


def _container(name: str) -> str:
    """The way to the list, tuple or dict that holds something; empty where nothing of the kind does."""
    if _is_listed(name):
        return name[: name.rindex("[")]
    return _entry(name)[0]


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
