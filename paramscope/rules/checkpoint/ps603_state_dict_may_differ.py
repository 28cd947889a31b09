"""What `state_dict()` contains cannot be predicted from what is registered.

What it finds
: Modules that carry a `state_dict` hook, or whose class or instance overrides `state_dict()`, `get_extra_state()` or
  `_save_to_state_dict()`. The hooks that torch.nn itself leaves behind are known to be harmless. Also torch's own
  quantized layers, which keep their weights packed in C++ and write entries for them that are not slots.

Why it matters
: Such code may add, drop or rename keys. What this audit says about saving rests on what is registered, and so does
  loading the checkpoint into a module without that code.

Example
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 2)

    def state_dict(self, *args, **kwargs):
        full = super().state_dict(*args, **kwargs)
        return {name: tensor for name, tensor in full.items() if "bias" not in name}

model = Net()
```

Instead
```python
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 2)

    def to_checkpoint(self):  # a name of its own for what is not all of the state
        return {name: tensor for name, tensor in self.state_dict().items() if "bias" not in name}

model = Net()
```

When it is wrong to follow it
: This is a fact, not a fault: libraries wrap, shard and quantize that way.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts
from paramscope.rules.places import class_names, modules_above
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot import REGISTERED

RULE = Rule("PS603", "state-dict-may-differ", Severity.INFO)

_QUANTIZED = ("torch.ao.nn.", "torch.nn.quantized.")
_COMPARE = "Compare model.state_dict().keys() with the registered names before you rely on what is saved."


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Modules that make it uncertain what is saved, and not those that only lie below one; and packed layers."""
    for layer in dict.fromkeys(_packed_layers(facts)):
        yield Problem(
            (facts.modules.path_at(layer),),
            "state_dict() holds entries of {0} that are no slots: the weights lie packed in C++, and the layer "
            "writes them itself.",
            _COMPARE,
            blame=None,
            alike=facts.modules.at(layer).type,
        )
    unknown, flags = facts.snapshot.module_columns.unknown, facts.snapshot.module_columns.flags
    for module in sorted(unknown):
        if not flags[module] & REGISTERED:
            continue  # it is not saved at all
        above = unknown.get(facts.parents[module], ())
        for fate, reason in unknown[module]:
            if fate not in ("saved", "attributes_saved") or (fate, reason) in above:
                continue
            verb = "add to what it saves" if fate == "attributes_saved" else "add, drop or rename what it saves"
            path = facts.modules.path_at(module)
            yield Problem(
                (path,),
                f"state_dict() may hold other names than {{0}} has registered: {reason}, which may {verb}.",
                _COMPARE,
                blame=None,
                alike=(facts.modules.at(module).type, fate, reason),
            )


def _packed_layers(facts: Facts) -> Iterator[int]:
    """The topmost quantized layer of torch's own around each packed weight."""
    for note in facts.notes("packed"):
        for path in modules_above(facts, note.path):
            module = facts.modules[path]
            if module.registered and any(name.startswith(_QUANTIZED) for name in class_names(facts, module.type)):
                yield facts.modules.position(path)
                break
