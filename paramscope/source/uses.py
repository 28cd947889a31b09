"""What a class does with one of its attributes: when the statement that assigns it runs, and what becomes of it
wherever it is read. One answer for all rules that judge a tensor."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from paramscope.snapshot import ClassRecord
from paramscope.snapshot.path import to_steps
from paramscope.source.finder import Assignment
from paramscope.source.helpers import is_kept_by_helper
from paramscope.source.methods import Methods, OutsideCall, parents_in
from paramscope.source.reads import Reading as Reading
from paramscope.source.reads import Reads as Reads
from paramscope.source.reads import read
from paramscope.source.stages import Stage as Stage
from paramscope.source.stages import Stages
from paramscope.source.syntax import is_attribute_of
from paramscope.source.values import mangled

_LOADING = frozenset({"load_state_dict", "copy_", "set_", "swap_tensors"})


class Uses:
    """The methods of one class and of all that it inherits from, but torch's own."""

    def __init__(self, classes: Mapping[str, ClassRecord], type: str) -> None:
        self._methods = Methods(classes, type)
        self._also_running: frozenset[str] = frozenset()
        self._stages = Stages(self._methods)

    def runs(self, names: frozenset[str]) -> None:
        """Notes methods that other modules of the model call when it runs."""
        if names != self._also_running:
            self._also_running = names
            self._stages = Stages(self._methods, names)

    @property
    def running_calls(self) -> set[OutsideCall]:
        """What it calls on other things when it runs."""
        return self._methods.calls_outside(self._stages.running)

    def has(self, name: str) -> bool:
        """Whether one of these classes defines a method."""
        return name in self._methods.by_name

    def has_property(self, name: str) -> bool:
        """Whether a property has this name: a cached one keeps what it made under it."""
        return any(method.is_property for method in self._methods.by_name.get(name, ()))

    def stages(self, assignment: Assignment) -> set[Stage]:
        """When the statement of an assignment may run."""
        return self._stages.of(assignment)

    def is_kept_by_helper(self, name: str) -> bool:
        """Whether a function that the instance is given to as the model runs assigns an attribute."""
        return is_kept_by_helper(self._methods, self._stages.running, name)

    def is_of_property(self, assignment: Assignment) -> bool:
        """Whether to read a property runs the statement."""
        return self._stages.is_of_property(assignment)

    def reads(self, name: str, *, is_row: bool = False, is_learned: bool = True) -> Reads:
        """What becomes of what an attribute holds; `name` may lead on, as `stats['mean']` and `state->mean` do.

        is_row: whether that is a tensor of one dimension. is_learned: whether it may be a Parameter, or require grad.
        """
        place = tuple(step.text for step in to_steps(name))
        return read(self._methods, self._stages, place, is_row=is_row, is_learned=is_learned)

    def mentions(self, name: str) -> bool:
        """Whether one of its methods has to do with an attribute of this name, of whatever object."""
        return bool(self._methods.touching(name))

    def is_read_at_construction_alone(self, name: str) -> bool:
        """Whether the constructor reads an attribute and no other method does, though there are others."""
        if self._stages.constructing.issuperset(self._methods.by_name):
            return False
        readers = self._readers(name)
        return bool(readers) and readers <= self._stages.constructing - self._stages.running

    def _readers(self, name: str) -> set[str]:
        """The methods that read an attribute by its name."""
        return {
            method_name
            for method_name, methods in self._methods.by_name.items()
            for method in methods
            for node in parents_in(method.node)
            if is_attribute_of(node, method.receiver)
            and isinstance(node.ctx, ast.Load)
            and mangled(node.attr, method.owner) == name
        }

    def is_loaded_back(self, name: str) -> bool:
        """Whether a method that reads an attribute also puts values into tensors, as one that restores them does."""
        return any(
            _loads(node)
            for reader in self._readers(name)
            for method in self._methods.by_name[reader]
            for node in parents_in(method.node)
        )

    def is_named_in(self, name: str, method: str) -> bool:
        """Whether a method has to do with an attribute: `_apply`, which drops it, say."""
        return any(
            isinstance(node, ast.Attribute) and mangled(node.attr, each.owner) == name
            for each in self._methods.by_name.get(method, ())
            for node in parents_in(each.node)
        )


def _loads(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr=attr)):
            return attr in _LOADING
        case ast.Attribute(attr="data", ctx=ast.Store()):
            return True
    return False
