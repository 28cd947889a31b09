"""One pass over the body of a class: every assignment to something below the instance or the class."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from paramscope.source.calls import Write, changes_of, constructor_of, updates, writes_of
from paramscope.source.evaluate import Place, each, evaluate
from paramscope.source.operations import is_without_graph
from paramscope.source.syntax import Comprehension, Function, decorators, own_name, parameters, positional
from paramscope.source.texts import literal
from paramscope.source.values import CLASS, INSTANCE, SOMETHING, Branch, Ref, Root, Scope, Value, mangled

_IMPLICIT_CLASS_METHODS = frozenset({"__new__", "__init_subclass__", "__class_getitem__"})
# Decorators that give a class an `__init__` which assigns its annotated names.
_DATACLASS = frozenset({"dataclass", "define", "frozen", "mutable", "attrs", "s"})


class Event(NamedTuple):
    """One place that a statement may write to."""

    ref: Ref
    line: int
    method: str
    """Name of the method; empty for the class body."""
    is_straight: bool
    """Whether it runs whenever its method does."""
    is_raw: bool
    """Whether it goes past `nn.Module.__setattr__`."""
    value: ast.expr | None
    number: int
    """Where it stands among all those of the class."""
    how: str = ""
    """As `Write.how`."""
    is_ungraded: bool = False
    """As `Place.is_ungraded`."""


class ClassEvents(NamedTuple):
    """What the body of a class writes to, by the first step below the instance or the class."""

    known: dict[tuple[Root, str], list[Event]]
    """Attributes whose names are known."""
    vague: list[Event]
    """Attributes whose names are known in part, or not at all."""
    items: list[Event]
    """Items of the instance itself, as a container's own methods write them."""
    constructors: list[Event]
    """Calls of the base's `__init__`, as `value`."""
    changed: dict[tuple[Root, str], list[Event]]
    """What puts no other object into an attribute, but changes the tensor that is there: `self.mean.mul_(…)`,
    `self.weight.data = …`, `self.mean[0] = …`; of those whose names are known."""


def read_class(node: ast.ClassDef, module_scope: Scope) -> ClassEvents:
    """Every assignment in a class, each node of it visited once."""
    reader = _Reader(node, module_scope)
    reader.run()
    return reader.events


class _Reader:
    def __init__(self, node: ast.ClassDef, module_scope: Scope) -> None:
        self.events = ClassEvents({}, [], [], [], {})
        self._count = 0
        self._is_dataclass = any(own_name(each) in _DATACLASS for each in node.decorator_list)
        start = Branch()
        self._names = Scope(module_scope)
        self._names.bind(node.name, CLASS, start)
        self._names.bind("__class__", CLASS, start)
        body = Place(Scope(self._names), start, node.lineno, "", node.name, SOMETHING, in_body=True)
        # NOTE: a stack, not recursion: an `elif` is one level deeper than the one before.
        self._stack: list[tuple[ast.AST, Place]] = [(each, body) for each in reversed(node.body)]

    def run(self) -> None:
        while self._stack:
            node, place = self._stack.pop()
            if isinstance(node, ast.stmt):
                place = place._replace(line=node.lineno)
            for child, where in reversed(list(self._visit(node, place))):
                self._stack.append((child, where))

    def _visit(self, node: ast.AST, place: Place) -> Iterator[tuple[ast.AST, Place]]:
        """Notes what one node writes; gives the nodes to visit next, each with its place."""
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from self._function(node, place)
                return
            case ast.Lambda():
                yield from self._lambda(node, place, is_method=False)
                return
            case ast.ClassDef(name=name, body=body):
                self._bind(name, SOMETHING, place)
                if not place.in_body:
                    inner = place._replace(scope=Scope(place.scope), branch=Branch(place.branch), owner=name)
                    yield from _at(body, inner)
                return
            case ast.If(test=test, body=body, orelse=orelse):
                yield test, place
                yield from _at(body, _may_run(place))
                yield from _at(orelse, _may_run(place))
                return
            case ast.IfExp(test=test, body=one, orelse=other):
                yield test, place
                yield one, _may_run(place)
                yield other, _may_run(place)
                return
            case ast.BoolOp(values=[first, *rest]):
                yield first, place
                yield from _at(rest, _may_run(place))
                return
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                yield from _at(items, place)
                contexts = [item.context_expr for item in items]
                is_ungraded = is_without_graph(contexts, around=place.is_ungraded)
                yield from _at(body, place._replace(is_ungraded=is_ungraded))
                return
            case ast.ExceptHandler() | ast.match_case():
                place = _may_run(place)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                place = self._comprehension(node, place)
            case ast.Assign(targets=targets, value=ast.Lambda() as function) if place.in_body:
                for target in targets:
                    self._assign(target, SOMETHING, function, place)
                yield from self._lambda(function, place, is_method=True)
                return
        self._note(node, place)
        yield from _at(ast.iter_child_nodes(node), place)

    def _note(self, node: ast.AST, place: Place) -> None:
        """Notes what one node itself writes."""
        match node:
            case ast.Assign(targets=targets, value=value):
                found = evaluate(value, place)
                for target in targets:
                    self._assign(target, found, value, place)
            case ast.AnnAssign(target=target, value=value, annotation=annotation):
                if place.in_body and self._is_dataclass and isinstance(target, ast.Name):
                    self._field(target.id, annotation, value, place)
                if value is not None:
                    self._assign(target, evaluate(value, place), value, place)
            case ast.AugAssign(target=target, value=value):
                is_update = isinstance(node.op, ast.BitOr)
                whole = value if is_update else ast.BinOp(left=_as_read(target), op=node.op, right=value)
                self._assign(target, SOMETHING, whole, place, how="" if is_update else "+=")
            case ast.NamedExpr(target=target, value=value):
                self._assign(target, evaluate(value, place), value, place)
            case ast.For(target=target, iter=iterable) | ast.AsyncFor(target=target, iter=iterable):
                self._assign(target, each(iterable, place), None, place)
            case ast.withitem(optional_vars=target) if target is not None:
                self._assign(target, SOMETHING, None, place)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                self._bind(name, SOMETHING, place)
            case ast.alias(name=name, asname=asname):
                self._bind(asname or name.partition(".")[0], SOMETHING, place)
            case ast.Call():
                for write in writes_of(node, place):
                    self._add(write, place)
                for write in changes_of(node, place):
                    self._add_change(write, place)
                call = constructor_of(node, place)
                if call is not None:
                    self.events.constructors.append(self._event(Write(Ref("instance"), call), place))

    def _function(self, node: Function, place: Place) -> Iterator[tuple[ast.AST, Place]]:
        yield from _at(node.decorator_list, place)
        yield node.args, place
        self._bind(node.name, SOMETHING, place)
        if place.in_body:
            around = decorators(node)
            receiver = INSTANCE
            if "staticmethod" in around:
                receiver = SOMETHING
            elif "classmethod" in around or node.name in _IMPLICIT_CLASS_METHODS:
                receiver = CLASS
            is_ungraded = is_without_graph(node.decorator_list, around=False)
            method = self._method(node.name, node.args, receiver, place)
            yield from _at(node.body, method._replace(is_ungraded=is_ungraded))
        else:
            yield from _at(node.body, _nested(node.args, place))

    def _lambda(self, node: ast.Lambda, place: Place, *, is_method: bool) -> Iterator[tuple[ast.AST, Place]]:
        yield node.args, place
        if is_method:
            yield node.body, self._method("<lambda>", node.args, INSTANCE, place)
        else:
            yield node.body, _nested(node.args, place)

    def _method(self, name: str, args: ast.arguments, receiver: Value, place: Place) -> Place:
        """The inside of a method, which does not see the names of the class body."""
        start = Branch()
        scope = Scope(self._names)
        for each_name in parameters(args):
            scope.bind(each_name, SOMETHING, start)
        for first in positional(args)[:1]:
            scope.bind(first.arg, receiver, start)
        return Place(scope, start, place.line, name, place.owner, receiver, in_body=False)

    def _comprehension(self, node: Comprehension, place: Place) -> Place:
        place = place._replace(scope=Scope(place.scope), in_body=False)
        for generator in node.generators:
            self._assign(generator.target, each(generator.iter, place), None, place)
        return place

    def _assign(self, target: ast.expr, value: Value, node: ast.expr | None, place: Place, *, how: str = "") -> None:
        """An assignment of a value, which the expression `node` makes, to a target or a row of them."""
        pending = [(target, value, node)]
        while pending:
            target, value, node = pending.pop()
            match target:
                case ast.Name(id=name):
                    if place.in_body:
                        ref = Ref("class").attribute((mangled(name, place.owner),))
                        self._add(Write(ref, node), place)
                        value = value._replace(refs=(ref,))
                    self._bind(name, value, place)
                case ast.Starred(value=inner):
                    pending.append((inner, SOMETHING, None))
                case ast.Tuple(elts=members) | ast.List(elts=members):
                    values: Sequence[Value] = value.items or ()
                    nodes: Sequence[ast.expr | None] = node.elts if isinstance(node, ast.Tuple | ast.List) else ()
                    is_paired = not any(isinstance(member, ast.Starred) for member in members)
                    if not is_paired or len(values) != len(members):
                        values = [SOMETHING] * len(members)
                    if not is_paired or len(nodes) != len(members):
                        nodes = [None] * len(members)
                    pending += reversed([*zip(members, values, nodes, strict=True)])
                case ast.Attribute() | ast.Subscript():
                    for write in _stored(target, node, place):
                        self._add(write._replace(how=how), place)
                    for write in _changed(target, node, place):
                        self._add_change(write, place)

    def _field(self, name: str, annotation: ast.expr, value: ast.expr | None, place: Place) -> None:
        """A field of a dataclass: its generated `__init__` assigns it to the instance."""
        outer = annotation.value if isinstance(annotation, ast.Subscript) else annotation
        if own_name(outer) not in ("ClassVar", "KW_ONLY", "InitVar"):
            self._add(Write(Ref("instance").attribute((mangled(name, place.owner),)), value), place)

    def _bind(self, name: str, value: Value, place: Place) -> None:
        place.scope.bind(name, value, place.branch)

    def _event(self, write: Write, place: Place) -> Event:
        self._count += 1
        is_straight = place.branch.parent is None
        return Event(
            write.ref,
            place.line,
            place.method,
            is_straight,
            write.is_raw,
            write.value,
            self._count,
            write.how,
            place.is_ungraded,
        )

    def _add(self, write: Write, place: Place) -> None:
        event = self._event(write, place)
        first = write.ref.steps[0]
        name = literal(first.text)
        if first.is_item:
            self.events.items.append(event)
        elif name is None:
            self.events.vague.append(event)
        else:
            self.events.known.setdefault((write.ref.root, name), []).append(event)

    def _add_change(self, write: Write, place: Place) -> None:
        first = write.ref.steps[0]
        name = literal(first.text)
        if not first.is_item and name is not None:
            self.events.changed.setdefault((write.ref.root, name), []).append(self._event(write, place))


def _at(nodes: Iterable[ast.AST], place: Place) -> Iterator[tuple[ast.AST, Place]]:
    for node in nodes:
        yield node, place


def _may_run(place: Place) -> Place:
    return place._replace(branch=Branch(place.branch))


def _nested(args: ast.arguments, place: Place) -> Place:
    """The inside of a function in a method: it sees the method's names, and may not run."""
    branch = Branch(place.branch)
    scope = Scope(place.scope)
    for name in parameters(args):
        scope.bind(name, SOMETHING, branch)
    return place._replace(scope=scope, branch=branch, in_body=False)


def _stored(target: ast.Attribute | ast.Subscript, value: ast.expr | None, place: Place) -> Iterator[Write]:
    """The places that an attribute or item that stands as a target may be."""
    if isinstance(target, ast.Attribute) and target.attr == "__class__":
        return
    is_raw = isinstance(target, ast.Subscript) and any(
        ref.namespace == "dict" for ref in evaluate(target.value, place).refs
    )
    for ref in evaluate(target, place).refs:
        if ref.namespace:
            # The whole namespace is replaced or added to.
            yield from updates(ref, [] if value is None else [value], [], place)
        else:
            yield Write(ref, value, is_raw)


def _changed(target: ast.Attribute | ast.Subscript, value: ast.expr | None, place: Place) -> Iterator[Write]:
    """The tensors whose values a target changes: `x.data = …`, `x[0] = …`."""
    if isinstance(target, ast.Attribute) and target.attr != "data":
        return
    how = ".data" if isinstance(target, ast.Attribute) else "[]"
    for ref in evaluate(target.value, place).refs:
        if ref.steps and not ref.namespace:
            yield Write(ref, value, how=how)


def _as_read(target: ast.expr) -> ast.expr:
    """What an augmented assignment reads; the tree itself is not to be changed."""
    read = copy.copy(target)
    read.ctx = ast.Load()  # type: ignore[attr-defined]  # names, attributes and items have one
    return read
