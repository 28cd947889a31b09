"""An attribute hides what is registered under its name.

What it finds
: A registered parameter, buffer or module that `self.name` does not return, because the instance's `__dict__` or the
  class holds something else under that name: None, a module or a tensor.

Why it matters
: Python asks `nn.Module` for what is registered only when it finds nothing else under the name. So the forward uses
  one object, while the optimizer steps and the checkpoint saves the other.

Example
```python
from torch import nn

class Net(nn.Module):
    encoder = None

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 4)  # registered, and yet self.encoder is None

model = Net()
```

Instead
```python
from torch import nn

class Net(nn.Module):
    encoder: nn.Linear

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 4)

model = Net()
```

When it is wrong to follow it
: Never: what is registered cannot be reached by its name.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.places import class_names
from paramscope.rules.registration._steps import held_attributes, held_by
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import join
from paramscope.snapshot.path import last_name
from paramscope.text import name as printable

RULE = Rule("PS107", "shadowed-registration", Severity.ERROR)

_WORDS = {"None": "None", "module": "another module", "tensor": "another tensor"}


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Class attributes, then those of instances."""
    yield from _by_class(facts)
    for path, hiding in _by_instance(facts).items():
        if _is_something(facts, path):
            name = printable(last_name(path))
            yield Problem(
                (path, *hiding),
                f"{{0}} {{0|is|are}} registered, but the instance's __dict__ holds something else as {name}: "
                f"the forward uses "
                "that, and the optimizer steps the registered one.",
                f"Assign it with self.{name} = …, which registers it, and never into self.__dict__.",
                blame=hiding[0],
            )


def _by_class(facts: Facts) -> Iterator[Problem]:
    oddities = facts.oddities("class-shadow")
    hiding = _class_level(facts) if any(oddity.value != "None" for oddity in oddities) else {}
    for oddity in oddities:
        path = f"{oddity.path}.{oddity.name}" if oddity.path else oddity.name
        others = [
            other
            for other in hiding.get(oddity.name, ())
            if _have_common_class(facts, oddity.path, other.rpartition("::")[0])
        ]
        # Of a class attribute that is the very thing that is registered, nothing is hidden.
        if not _is_something(facts, path) or (oddity.value != "None" and not others):
            continue
        what, name = _WORDS.get(str(oddity.value), "something else"), printable(oddity.name)
        yield Problem(
            (path, *others),
            f"{{0}} {{0|is|are}} registered, but the class has an attribute {name}, which hides {{0|it|them}}: "
            f"self.{name} is "
            f"{what}, and not what is trained and saved.",
            f"Delete {name} from the class body, or leave the annotation alone: {name}: nn.Module.",
        )


def _is_something(facts: Facts, path: str) -> bool:
    """Whether a module, or a tensor, is registered under a path."""
    slot = facts.slots.get(path)
    return path in facts.modules if slot is None else slot.registered and slot.status != "empty"


def _class_level(facts: Facts) -> dict[str, list[str]]:
    """By name, the paths of class attributes that are tensors or modules of their own."""
    slots = (kind.slots for kind in facts.slot_kinds if kind.role == "attribute" and kind.name.startswith("::"))
    modules = map(facts.modules.path_at, facts.hidden_roots)
    found: dict[str, list[str]] = {}
    for path in (*(facts.slots.path_at(each) for several in slots for each in several), *modules):
        if "::" in path:
            found.setdefault(path.rpartition("::")[2], []).append(path)
    return found


def _have_common_class(facts: Facts, one: str, other: str) -> bool:
    """Whether two modules have a class in common that is not torch's."""
    modules = [facts.modules[path] for path in (one, other) if path in facts.modules]
    kin = set.intersection(*(set(class_names(facts, module.type)) for module in modules)) if modules[1:] else ()
    return any(not each.startswith("torch.") for each in kin)


def _by_instance(facts: Facts) -> dict[str, list[str]]:
    """By path of what is registered, the paths of what its owner holds under the same name."""
    found: dict[str, list[str]] = {}
    for _, slot, held in held_attributes(facts, lambda kind: kind.name.startswith("->")):
        found.setdefault(join(slot.module, held.attribute), []).append(slot.path)
    for module in facts.hidden_roots:
        path = facts.modules.path_at(module)
        shadow = held_by(facts, path) if "->" in path else None
        if shadow is not None and shadow.kind == "shadow":
            found.setdefault(join(shadow.owner, shadow.attribute), []).append(path)
    for alias in facts.snapshot.aliases:
        owner, arrow, name = alias.path.rpartition("->")
        if arrow and owner in facts.modules and not facts.is_recomputed(alias.path):
            hidden = facts.slots.get(join(owner, name))
            used = facts.slots.get(alias.of)
            if hidden is not None and used is not None and hidden.tensor != used.tensor:
                found.setdefault(hidden.path, []).append(used.path)
    return found
