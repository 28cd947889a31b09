"""What expressions give in the source of a tensor's owner, and what is done there with the tensor."""

from __future__ import annotations

import ast
import re

from paramscope.source.holding import (
    DEVICE,
    DTYPE,
    FOREIGN,
    HOST,
    INTEGER,
    NONE,
    OWN,
    SELF,
    Closure,
    Known,
    gathered,
    is_about_devices,
    joined,
    whole,
)
from paramscope.source.methods import Method
from paramscope.source.noting import Noting
from paramscope.source.operations import ASPECTS, DTYPES, OUT_OF_GRAPH, SIZES
from paramscope.source.syntax import Comprehension
from paramscope.source.values import mangled


class Frame:
    """The names of one function while it is gone through."""

    def __init__(self, file: str, method: Method | None, parent: Frame | None = None) -> None:
        self.file = file
        self.method = method
        self.parent = parent
        self.names: dict[str, Known] = {}
        self.returns: list[tuple[Known, bool]] = []
        """What is returned, and whether because of where something lies."""
        self.closures: list[Closure] = []
        self.ran: list[Closure] = []
        self.is_guarded = False
        """Whether what runs here runs because of where something lies."""

    def look_up(self, name: str) -> Known | None:
        """What a name stands for in this function and those around it."""
        at: Frame | None = self
        while at is not None:
            if name in at.names:
                return at.names[name]
            at = at.parent
        return None

    @property
    def owner(self) -> str:
        """Own name of the class that this is part of."""
        return self.method.owner if self.method is not None else ""


class Expressions(Noting):
    """One expression after the other; calls are for those who build on this."""

    def call(self, node: ast.Call, frame: Frame) -> Known:
        """What a call gives."""
        raise NotImplementedError

    def read_property(self, name: str, frame: Frame) -> Known | None:
        """What a property of the instance gives; None where it is none, or is not gone into."""
        raise NotImplementedError

    def value(self, node: ast.expr, frame: Frame) -> Known:
        """What an expression gives; what it does with the tensor is noted."""
        self.budget -= 1
        if self.budget <= 0 or self.nesting >= self.NESTING:
            return FOREIGN
        self.nesting += 1
        found = self._value(node, frame)
        self.nesting -= 1
        return found

    def _value(self, node: ast.expr, frame: Frame) -> Known:
        match node:
            case ast.Name(id=name):
                return frame.look_up(name) or self._of_nobody(name)
            case ast.Constant(value=constant):
                if isinstance(constant, str):
                    return Known("host", texts=(constant,))
                return NONE if constant is None else INTEGER if type(constant) is int else HOST
            case ast.Attribute():
                return self._attribute(node, frame)
            case ast.Subscript():
                return self._subscript(node, frame)
            case ast.Call():
                return self.call(node, frame)
            case ast.BinOp(left=left, op=op, right=right):
                return self.meet(
                    [self.value(left, frame), self.value(right, frame)],
                    is_strict=isinstance(op, ast.MatMult),
                    is_quotient=isinstance(op, ast.Div | ast.Pow),
                )
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.host(self.value(operand, frame))
            case ast.UnaryOp(operand=operand):
                return self.value(operand, frame)._replace(is_place=False)
            case ast.BoolOp(values=values):
                found_all = [self.value(each, frame) for each in values]
                self.all_host(found_all[:-1])
                return joined(found_all)
            case ast.Compare():
                return self._compare(node, frame)
            case ast.IfExp(test=test, body=one, orelse=other):
                self.host(self.value(test, frame))
                truth = self.truth(test, frame)
                if truth is not None:
                    return self.value(one if truth else other, frame)
                either = (self.value(one, frame), self.value(other, frame))
                return joined(either, is_guarded=is_about_devices(test))
            case ast.NamedExpr(target=target, value=inner):
                found = self.value(inner, frame)
                self.assign(target, found, frame)
                return found
            case ast.Tuple(elts=members) | ast.List(elts=members) | ast.Set(elts=members):
                items = tuple(self.value(each, frame) for each in members)
                is_spread = any(isinstance(each, ast.Starred) for each in members)
                return gathered(items) if is_spread else Known("own", items=items)
            case ast.Dict(keys=keys, values=values):
                self.all_host([self.value(key, frame) for key in keys if key is not None])
                return gathered(self.value(each, frame) for each in values)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return self._comprehension(node, [node.elt], frame)
            case ast.DictComp(key=key, value=value):
                return self._comprehension(node, [key, value], frame)
            case ast.Lambda():
                closure = Closure(node, frame)
                frame.closures.append(closure)
                return Known(closure=closure)
            case ast.Starred(value=inner):
                found = self.value(inner, frame)
                if found.items:
                    return whole(found)._replace(items=None)
                return self.element(found) if found.hold is not None or found.step else found
            case ast.Slice():
                bounds = (bound for bound in (node.lower, node.upper, node.step) if bound is not None)
                return self.all_host([self.value(bound, frame) for bound in bounds])
            case ast.JoinedStr(values=parts):
                for part in parts:
                    if isinstance(part, ast.FormattedValue):
                        self.value(part.value, frame)
                return HOST
            case ast.Await(value=inner) | ast.YieldFrom(value=inner):
                return self.value(inner, frame)
            case ast.Yield(value=ast.expr() as inner):
                self.consume(self.value(inner, frame))
        return FOREIGN

    def truth(self, test: ast.expr, frame: Frame) -> bool | None:
        """What a condition gives as long as the attribute is no Parameter that is trained; None for any other."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.truth(operand, frame)
                return None if inner is None else not inner
            case ast.BoolOp(op=ast.And(), values=values):
                return False if any(self.truth(each, frame) is False for each in values) else None
            case ast.Attribute(value=ast.Name() | ast.Attribute() as base, attr=attr):
                known = self.value(base, frame)
                is_no = (
                    attr in self.absent_under if known.kind == "self" else attr == "requires_grad" and known.is_place
                )
                if is_no and not self.is_learned:
                    self.noted.add("stand-in")
                    return False
        return None

    def _attribute(self, node: ast.Attribute, frame: Frame) -> Known:
        attr = node.attr
        base = self.value(node.value, frame)
        if base.kind == "self":
            return self.attribute(mangled(attr, frame.owner), frame)
        if attr == "device":
            is_its_own = base.hold is not None and not base.hold.on_device
            return HOST if is_its_own else DEVICE
        if attr == "dtype" or (attr in DTYPES and isinstance(node.value, ast.Name) and base.hold is None):
            return DTYPE
        if attr in SIZES or attr in ASPECTS:
            return self.host(base) if attr in SIZES else HOST
        if base.step:
            return self.deeper(base, attr)
        if attr in OUT_OF_GRAPH:
            return base._replace(has_past=False)
        known = self.by_name(attr)
        if base.hold is None and known is not FOREIGN:
            return known
        return base._replace(is_place=False, items=None, closure=None)

    def attribute(self, name: str, frame: Frame) -> Known:
        """An attribute of the instance."""
        if name in ("__dict__", "module", "unwrapped"):
            return SELF
        found = self.at_attribute(name) or self.read_property(name, frame)
        if found is not None:
            return found
        if name in self.methods.counters:
            return INTEGER
        return self._of_nobody(name)

    def _of_nobody(self, name: str) -> Known:
        """As `by_name`; what its name says nothing of was made here."""
        known = self.by_name(name)
        return OWN if known is FOREIGN else known

    def _subscript(self, node: ast.Subscript, frame: Frame) -> Known:
        base = self.value(node.value, frame)
        if base.kind == "self":
            match node.slice:
                case ast.Constant(value=str(name)):
                    return self.attribute(name, frame)
            return OWN
        key = key_of(node.slice)
        if base.step:
            self.host(self.value(node.slice, frame))
            return self.deeper(base, key)
        if base.items is not None and key is not None and key.lstrip("-").isdecimal():
            position = int(key)
            if -len(base.items) <= position < len(base.items):
                return base.items[position]
        index = self.value(node.slice, frame)
        held = whole(index).hold
        if held is not None:
            if base.kind == "foreign" and base.hold is None and not held.is_element:
                # An index of integers on the CPU is taken, but what it stands for is lost with it.
                self.consume(index)
            else:
                self.host(index)
        if base.hold is not None:
            if self.is_row and index.is_integer and not base.hold.is_element:
                # One of its numbers has no dimension left: it works beside tensors of any device and dtype.
                self.noted.add("host")
                self.noted.add("by-number")
                return OWN._replace(has_past=base.has_past)
            is_one = not isinstance(node.slice, ast.Slice | ast.Tuple) and index.kind in ("host", "own")
            base = base._replace(hold=base.hold._replace(is_element=base.hold.is_element or is_one))
        return base._replace(is_place=False, items=None, closure=None)

    def _compare(self, node: ast.Compare, frame: Frame) -> Known:
        values = [self.value(each, frame) for each in (node.left, *node.comparators)]
        if all(isinstance(op, ast.In | ast.NotIn) for op in node.ops) and values[-1].kind in ("own", "host"):
            return self.all_host(values[:-1])
        is_plain = all(each.kind in ("host", "device", "dtype") and each.hold is None for each in values)
        if is_plain or all(isinstance(op, ast.Is | ast.IsNot) for op in node.ops):
            return HOST
        return self.meet(values, gives_flags=True)

    def _comprehension(self, node: Comprehension, parts: list[ast.expr], frame: Frame) -> Known:
        inner = Frame(frame.file, frame.method, frame)
        for generator in node.generators:
            self.assign(generator.target, self.each(generator.iter, inner), inner)
            for test in generator.ifs:
                self.host(self.value(test, inner))
        found = gathered(self.value(each, inner) for each in parts)
        frame.closures.extend(inner.closures)
        return found

    def each(self, node: ast.expr, frame: Frame) -> Known:
        """What one item of an iterable is."""
        match node:
            case ast.Call(func=ast.Name(id="enumerate"), args=[inner, *_]):
                return Known("own", items=(INTEGER, self.each(inner, frame)))
            case ast.Call(func=ast.Name(id="zip"), args=inners):
                return Known("own", items=tuple(self.each(inner, frame) for inner in inners))
            case ast.Call(func=ast.Name(id="reversed" | "sorted" | "list" | "tuple" | "iter"), args=[inner]):
                return self.each(inner, frame)
            case ast.Call(func=ast.Attribute(value=base, attr="items"), args=[]):
                return Known("own", items=(HOST, self.element(self.value(base, frame))))
            case ast.Call(func=ast.Attribute(value=base, attr="values"), args=[]):
                return self.element(self.value(base, frame))
            case ast.Call(func=ast.Name(id="range")):
                self.value(node, frame)
                return INTEGER
        return self.element(self.value(node, frame))

    def assign(self, target: ast.expr, value: Known, frame: Frame) -> None:
        """Puts a value into a target, or its members into a row of them."""
        match target:
            case ast.Name(id=name):
                frame.names[name] = value
            case ast.Starred(value=inner):
                self.assign(inner, whole(value)._replace(items=None), frame)
            case ast.Tuple(elts=members) | ast.List(elts=members):
                is_paired = value.items is not None and len(value.items) == len(members)
                is_paired = is_paired and not any(isinstance(each, ast.Starred) for each in members)
                for at, member in enumerate(members):
                    item = value.items[at] if is_paired and value.items is not None else self.element(value)
                    self.assign(member, item, frame)
            case ast.Attribute(value=owner, attr=attr):
                base = self.value(owner, frame)
                if base.kind == "self":
                    self._assign_attribute(mangled(attr, frame.owner), value)
                elif base.step:
                    self._assign_step(base, attr, value)
                elif base.is_place and attr == "data":
                    self.put(value._replace(has_past=False))
                else:
                    self.consume(value)
            case ast.Subscript(value=owner, slice=key):
                self._assign_item(owner, key, value, frame)

    def _assign_attribute(self, name: str, value: Known) -> None:
        if name != self.place[0]:
            self.consume(value)
            return
        is_emptied = len(self.place) > 1 and value.items == ()
        self.put(value, is_added=is_emptied)
        if is_emptied:
            self.noted.add("cut")
            self.state = self.state._replace(has_past=False)

    def _assign_step(self, base: Known, key: str | None, value: Known) -> None:
        if key is None or key == self.place[base.step]:
            self.put(value, is_added=key is None)

    def _assign_item(self, owner: ast.expr, key: ast.expr, value: Known, frame: Frame) -> None:
        base = self.value(owner, frame)
        if base.kind == "self" and isinstance(key, ast.Constant):
            self._assign_attribute(str(key.value), value)
            return
        index = self.value(key, frame)
        if base.step:
            self._assign_step(base, key_of(key), value)
        elif base.is_place:
            if whole(value).kind == "foreign" or index.kind == "foreign":
                self.consume(base)
            self.put(value, is_added=True)
        elif isinstance(owner, ast.Name) and whole(value).hold is not None and base.kind != "foreign":
            frame.names[owner.id] = joined((base, whole(value)))._replace(items=None)
        else:
            self.consume(value)


def key_of(node: ast.expr) -> str | None:
    """A key or index that stands in the code."""
    match node:
        case ast.Constant(value=str() | int() as key):
            return str(key)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
            return f"-{number}"
    return None


def may_be_called(node: ast.expr, known: Known, name: str) -> bool:
    """Whether a text that the code makes may be this name."""
    if name in known.texts:
        return True
    match node:
        case ast.JoinedStr(values=parts):
            pattern = "".join(
                re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".*" for part in parts
            )
            return re.fullmatch(pattern, name) is not None
    return False
