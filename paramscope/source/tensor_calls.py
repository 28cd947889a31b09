"""Methods of tensors, and of the containers and objects that tensors lie in."""

from __future__ import annotations

import ast

from paramscope.source.expressions import Expressions, Frame, key_of
from paramscope.source.holding import DEVICE, HOST, OWN, Hold, Known, gathered, joined, whole
from paramscope.source.operations import (
    ASPECTS,
    BOUNDS,
    CASTS,
    DTYPES,
    FILLING,
    LIKE,
    OUT_OF_GRAPH,
    OVERWRITING,
    SIZES,
    STRICT,
    TO_HOST,
    TRANSFERS,
    is_mover,
)
from paramscope.source.syntax import given_to


class TensorCalls(Expressions):
    """Calls on a value of which something is known."""

    def on_value(self, base: Known, func: ast.Attribute, node: ast.Call, frame: Frame) -> Known:
        """A method of a tensor, of a container, or of anything else that is no module's own."""
        attr = func.attr
        if base.step:
            return self._on_container(base, attr, node, frame)
        if attr == "to":
            return self._moved(base, node, frame)
        given = self.arguments(node, frame)
        if base.closure is None and isinstance(func.value, ast.Name) and attr in FILLING and base.hold is None:
            both = whole(Known("own", items=tuple(given)))
            mine = frame.look_up(func.value.id) or OWN
            if both.hold is not None or both.has_past:
                frame.names[func.value.id] = joined((mine, both))._replace(items=None, kind=mine.kind)
            return HOST
        if attr in TO_HOST or attr in SIZES:
            return self.host(base)
        if attr in ASPECTS or attr == "save_for_backward":
            return HOST
        if attr == "get_device":
            return DEVICE
        if attr in LIKE and base.hold is None:
            self.all_host(given)
            return base
        if base.hold is not None:
            if attr == "type_as":
                return base._replace(hold=Hold(on_device=True, in_dtype=True), is_place=False)
            if attr in TRANSFERS:
                return base._replace(hold=base.hold._replace(on_device=True), is_place=False)
            if attr in CASTS:
                return base._replace(hold=base.hold._replace(in_dtype=True), is_place=False)
        elif attr in CASTS and not given:
            return base._replace(is_place=False, is_cast=True)
        if attr in OUT_OF_GRAPH:
            if base.is_place and attr == "detach_":
                self.state = self.state._replace(has_past=False)
            is_place = base.is_place and attr == "detach_"
            return base._replace(has_past=False, is_place=is_place, is_cut=base.has_past)
        if attr in ("new_tensor", "copy_") and base.hold is None and not base.is_place:
            if any(whole(each).hold is not None for each in given):
                self.noted.add("moved")
            return base
        if base.hold is None and is_mover(attr) and any(whole(each).hold is not None for each in given):
            return self.moved_by_name(given)
        if attr.endswith("_") and not attr.endswith("__") and base.is_place:
            return self._in_place(base, attr, given)
        if attr in BOUNDS:
            return self.bounded(base, given)
        if base.hold is None and not base.has_past and not given and base.kind == "own":
            return OWN
        result = self.meet([base, *given], is_strict=attr in STRICT)
        return result._replace(kind="foreign") if base.kind == "foreign" or result.kind == "host" else result

    def _in_place(self, base: Known, attr: str, given: list[Known]) -> Known:
        """A method that changes the attribute where it lies."""
        is_foreign = any(whole(each).kind == "foreign" for each in given)
        if is_foreign and attr != "copy_":
            self.consume(base)
        if attr == "copy_" and any(whole(each).has_past for each in given) and self.is_running:
            if not self.without_graph:
                self.noted.add("carried")
        elif attr in OVERWRITING:
            self.state = self.state._replace(has_past=False)
            return base._replace(has_past=False)
        if is_foreign and base.has_past and self.is_running and not self.without_graph:
            self.noted.add("carried")
        return base

    def bounded(self, base: Known, given: list[Known]) -> Known:
        """What is kept within bounds: such a bound may be one element, wherever that lies."""
        rest = []
        for each in given:
            hold = whole(each).hold
            if hold is not None and hold.is_element:
                self.host(each)
            else:
                rest.append(each)
        result = self.meet([base, *rest])
        return result._replace(kind="foreign") if base.kind == "foreign" else result

    def _on_container(self, base: Known, attr: str, node: ast.Call, frame: Frame) -> Known:
        """A method of the container or object on the way to the tensor."""
        key = key_of(node.args[0]) if node.args else None
        given = self.arguments(node, frame)
        wanted = self.place[base.step]
        if attr in ("get", "pop", "setdefault", "__getitem__", "popleft"):
            found = self.deeper(base, key)
            if attr == "setdefault" and len(given) > 1:
                self.put(given[1], is_added=True)
            return joined([found, *given[1:]]) if len(given) > 1 else found
        if attr in ("values", "items", "copy", "keys"):
            return base
        if attr == "clear":
            self.put(HOST)
        elif attr in FILLING:
            named = {
                keyword.arg: value for keyword, value in zip(node.keywords, given[len(node.args) :], strict=False)
            }
            if named and wanted in named:
                self.put(named[wanted])
            elif not named or None in named or node.args:
                self.put(gathered(given), is_added=True)
        return HOST

    def _moved(self, base: Known, node: ast.Call, frame: Frame) -> Known:
        """`.to(…)`, by what it is given."""
        on_device = in_dtype = False
        for arg in node.args:
            kind = self.value(arg, frame).kind if not isinstance(arg, ast.Starred) else "foreign"
            if isinstance(arg, ast.Constant) and not isinstance(arg.value, str):
                continue
            on_device = on_device or kind != "dtype"
            in_dtype = in_dtype or kind in ("dtype", "foreign", "own", "self")
        for keyword in node.keywords:
            self.value(keyword.value, frame)
            on_device = on_device or keyword.arg in ("device", "other", "tensor", None)
            in_dtype = in_dtype or keyword.arg in ("dtype", "other", "tensor", None)
        if base.hold is None:
            return base._replace(is_place=False, is_cast=base.is_cast or any(map(_is_named_dtype, given_to(node))))
        hold = Hold(base.hold.on_device or on_device, base.hold.in_dtype or in_dtype, base.hold.is_element)
        return base._replace(hold=hold, is_place=False)

    def moved_by_name(self, given: list[Known]) -> Known:
        """What a function gives whose name says that it moves its argument."""
        both = gathered(given)
        others = [each for each in given if whole(each).hold is None]
        is_device_only = bool(others) and all(each.kind in ("device", "host") for each in others)
        return both._replace(kind="own", hold=Hold(on_device=True, in_dtype=not is_device_only))

    def arguments(self, node: ast.Call, frame: Frame) -> list[Known]:
        """What a call is given, by position, then by name."""
        return [self.value(each, frame) for each in given_to(node)]


def _is_named_dtype(node: ast.expr) -> bool:
    """Whether an expression is a dtype by its name: `torch.float32`."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in DTYPES
