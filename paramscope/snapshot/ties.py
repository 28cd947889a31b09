"""From the names by which a model declares its ties to the slots that they stand for today. No torch.

Libraries put wrappers between a module and its children, so that `lm_head.weight` becomes
`lm_head.modules_to_save.default.weight` or `lm_head.parametrizations.weight.original`: these are looked through.
"""

from __future__ import annotations

import re
from itertools import cycle

from paramscope.snapshot.data import SnapshotData
from paramscope.snapshot.oddities import DeclaredTie
from paramscope.snapshot.path import join
from paramscope.snapshot.views import ModuleRecords, SlotRecords

PAIR_BOUND = 10_000
"""Pairs of slots that one declaration stands for, at most."""

NO_SUCH_SLOTS = "no two slots have these names"

# Children that stand between a wrapper and what it wraps, by peft, torch's parametrizations, DDP and torch.compile.
_BETWEEN = (
    "base_layer",
    "original_module",
    "module",
    "_orig_mod",
    "base_model",
    "token_adapter",
    "_checkpoint_wrapped_module",
    "_fsdp_wrapped_module",
)


def resolved(snapshot: SnapshotData, declarations: tuple[DeclaredTie, ...]) -> tuple[DeclaredTie, ...]:
    """Each declaration with the pairs of slots that its names stand for."""
    names = _Names(snapshot)
    found = []
    for tie in declarations:
        if tie.undecided is None:
            look = names.pair if tie.source == "instance" else names.matching
            pairs = look(tie.module, *tie.names)
            tie = tie._replace(pairs=pairs, undecided=None if pairs else NO_SUCH_SLOTS)
        found.append(tie)
    return tuple(found)


def is_simple_pattern(pattern: str) -> bool:
    """Whether matching takes no more than a short time: patterns of a saved report are anybody's."""
    return not set(pattern) & set("({|") and sum(map(pattern.count, "*+?")) <= 3


def without_wrappers(name: str) -> str:
    """A dotted name as the model had it before libraries put wrappers around its modules."""
    steps = name.split(".")
    found: list[str] = []
    for at, step in enumerate(steps):
        is_copy = at > 0 and steps[at - 1] == "modules_to_save"
        if not is_copy and step not in (*_BETWEEN, "modules_to_save"):
            found.append(step)
    return ".".join(found)


class _Names:
    """Looks up declared names in one snapshot."""

    def __init__(self, snapshot: SnapshotData) -> None:
        self._snapshot = snapshot
        self._slots, self._modules = SlotRecords(snapshot), ModuleRecords(snapshot)
        self._training: set[str] | None = None

    def pair(self, module: str, target: str, source: str) -> tuple[tuple[str, str], ...]:
        """The slots of two names below a module; nothing where one of them is not there."""
        one, other = self._slot(module, target), self._slot(module, source)
        return () if one is None or other is None else ((one, other),)

    def matching(self, module: str, target: str, source: str) -> tuple[tuple[str, str], ...]:
        """The pairs that two patterns stand for: each target's slots in turn with those of the source."""
        exact = self.pair(module, target, source)
        if exact:
            return exact
        if not (is_simple_pattern(target) and is_simple_pattern(source)):
            return ()
        prefix = module + "." if module else ""
        names = sorted(
            path.removeprefix(prefix)
            for index, path in enumerate(self._slots)
            if path.startswith(prefix) and self._snapshot.is_registered(index)
        )
        try:
            targets = [name for name in names if re.match(target, name)]
            sources = [name for name in names if re.match(source, name)]
        except (re.error, RecursionError):
            return ()
        if not sources or len(targets) > PAIR_BOUND:
            return ()
        return tuple(
            (prefix + one, prefix + other)
            for one, other in zip(targets, cycle(sources), strict=False)
            if one != other
        )

    def _slot(self, module: str, name: str) -> str | None:
        """The path of the slot of a dotted name below a module."""
        slots, modules = self._slots, self._modules
        direct = join(module, name)
        if direct in slots and self._snapshot.slot_columns.tensors[slots.position(direct)] >= 0:
            return direct
        *steps, last = name.split(".")
        here = module
        for step in steps:
            for wrapper in self._through(here):
                if join(wrapper, step) in modules:
                    here = join(wrapper, step)
                    break
            else:
                return None
        for wrapper in self._through(here):
            for path in (join(wrapper, last), join(wrapper, f"parametrizations.{last}.original")):
                if path in slots and slots[path].tensor is not None:
                    return path
        return None

    def _through(self, path: str) -> list[str]:
        """A module, then what it wraps, if it is a wrapper; an adapter's own copy goes before the original."""
        modules = self._modules
        found = [path]
        for here in found:
            saved = join(here, "modules_to_save")
            if saved in modules:
                copies = self._child_names(saved)
                # The active adapter's copy is the one that trains.
                training = [name for name in copies if join(saved, name) in self._training_modules()]
                active = (training or sorted(copies, key=lambda name: name != "default"))[:1]
                found.extend(join(saved, name) for name in active)
            found.extend(join(here, step) for step in _BETWEEN if join(here, step) in modules)
            if len(found) > 64:
                break
        return found

    def _training_modules(self) -> set[str]:
        if self._training is None:
            self._training = {slot.module for slot in self._slots.records() if slot.trainable}
        return self._training

    def _child_names(self, path: str) -> list[str]:
        tree = self._snapshot.tree
        return [tree.names[child] for child in tree.children.get(self._modules.position(path), ())]
