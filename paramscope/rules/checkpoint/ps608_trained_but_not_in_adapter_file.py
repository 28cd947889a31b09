"""A trained weight of the base model is not in the adapter's file.

What it finds
: Weights of the model inside a peft `PeftModel` that are trained, such as norms, a head or a resized table, and that
  no `modules_to_save` names. If there is an optimizer, those that it holds.

Why it matters
: `save_pretrained()` of a PeftModel writes the adapters and the copies that `modules_to_save` makes. A weight that
  was unfrozen by hand is trained but not written: anyone who loads the adapter has the base model's old values there.

Example
```python
from peft import LoraConfig, get_peft_model
from torch import nn

base = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8))
model = get_peft_model(base, LoraConfig(target_modules=["0"]))
for parameter in base[1].parameters():
    parameter.requires_grad = True
```

Instead
```python
from peft import LoraConfig, get_peft_model
from torch import nn

base = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8))
model = get_peft_model(base, LoraConfig(target_modules=["0"], modules_to_save=["1"]))
```

When it is wrong to follow it
: Where the whole model is saved some other way; declare it. Biases covered by the config's `bias` are written, and so
  are tables that it targets. A table of a base model that has a name or a path is information only: peft writes it,
  too, if it sees that the vocabulary was resized.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from paramscope.report.finding import Severity
from paramscope.rules.facts import Facts, SlotKind
from paramscope.rules.naming import literal
from paramscope.rules.places import class_names, upwards
from paramscope.rules.rule import Problem, Rule, Undecided
from paramscope.snapshot.path import names_below

RULE = Rule("PS608", "trained-but-not-in-adapter-file", Severity.WARNING)

_BASE = frozenset({"base_model", "model", "base_layer", "original_module", "word_embeddings"})
"""What peft's own modules call that of the base model which they stand around."""
_LAYER = "peft.tuners.tuners_utils.BaseTunerLayer"
_EMBEDDING = "torch.nn.modules.sparse.Embedding"


class _File(NamedTuple):
    """What the files of one model's adapters hold, all of them together."""

    adapters: frozenset[str]
    biases: frozenset[str]
    tables: frozenset[str]


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Trained slots below each PeftModel, each tensor once."""
    files = _files(facts)
    if not files:
        return
    met: set[int] = set()
    modules, tensors = facts.snapshot.slot_columns.modules, facts.snapshot.slot_columns.tensors
    for kind in facts.slot_kinds:
        if not kind.is_trainable or (facts.optimizers and not kind.groups):
            continue
        for slot in kind.slots:
            root = next((above for above in upwards(facts, modules[slot]) if above in files), None)
            if root is None or tensors[slot] in met or _is_written_elsewhere(facts, slot):
                continue
            severity = _severity(facts, kind, slot, files[root])
            if severity is not None:
                met.add(tensors[slot])
                yield _problem(facts, slot, root, severity)


def _problem(facts: Facts, slot: int, root: int, severity: Severity) -> Problem:
    model = literal(facts.modules.path_at(root)) or "the model"
    perhaps = "" if severity is Severity.WARNING else ", unless peft sees that the vocabulary was resized"
    return Problem(
        (facts.slots.path_at(slot),),
        f"{{0}} {{0|is|are}} trained, but not in the adapter's file: save_pretrained() of {model} writes the "
        f"adapters and what modules_to_save names{perhaps}; whoever loads it gets the base model's old values.",
        "Name the modules in the config, LoraConfig(…, modules_to_save=[…]), instead of unfreezing them by hand.",
        severity,
        blame=None,
        alike=root,
    )


def _files(facts: Facts) -> dict[int, _File]:
    """By the position of each PeftModel."""
    biases: dict[str, set[str]] = {}
    tables: dict[str, set[str]] = {}
    adapters: dict[str, set[str]] = {}
    for oddity in facts.oddities("adapter"):
        adapters.setdefault(oddity.path, set()).add(oddity.name)
        biases.setdefault(oddity.path, set()).add(str(oddity.value))
    for oddity in facts.oddities("adapter-tables"):
        tables.setdefault(oddity.path, set()).add(str(oddity.value))
    return {
        facts.modules.position(path): _File(
            frozenset(names), frozenset(biases[path]), frozenset(tables.get(path, ()))
        )
        for path, names in adapters.items()
        if facts.modules[path].registered
    }


def _severity(facts: Facts, kind: SlotKind, slot: int, file: _File) -> Severity | None:
    """How bad it is that a trained slot is not in the file; None for what is."""
    part = _part(facts, slot)
    if part is None:
        return None
    owner, steps = part
    if steps[0] not in _BASE:
        # An adapter of a name that has no config is in nobody's file.
        is_known = len(steps) < 2 or not steps[0].startswith("lora_") or steps[1] in file.adapters
        return None if is_known or not facts.is_a(owner, _LAYER) else Severity.WARNING
    is_targeted = facts.is_a(owner, _LAYER)
    if "bias" in steps[-1] and ("all" in file.biases or (is_targeted and "layers" in file.biases)):
        return None
    if kind.owner.settings.get("layer") == _EMBEDDING or "lm_head" in facts.slots.path_at(slot).split("."):
        if is_targeted and "targeted" in file.tables:
            return None
        if "perhaps" in file.tables:
            return Severity.INFO
    return Severity.WARNING


def _part(facts: Facts, slot: int) -> tuple[str, list[str]] | None:
    """(class of the nearest module of peft's above a slot, the steps from there to it)."""
    path = facts.slots.path_at(slot)
    for module in upwards(facts, facts.snapshot.slot_columns.modules[slot]):
        record = facts.modules.at(module)
        if any(name.startswith("peft.") for name in class_names(facts, record.type)):
            return record.type, names_below(path, record.path)
    return None


def _is_written_elsewhere(facts: Facts, slot: int) -> bool:
    """Whether the same tensor stands where an adapter's file takes it from."""
    others = facts.slots_of_tensor[facts.snapshot.slot_columns.tensors[slot]]
    parts = [_part(facts, other) for other in others if other != slot]
    return any(part is not None and part[1][0] not in _BASE for part in parts)
