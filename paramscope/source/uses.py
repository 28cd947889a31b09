"""What a class does with one of its attributes: when the statement that assigns it runs, and whether every read of it
is moved to where it is needed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

from paramscope.snapshot import ClassRecord
from paramscope.source.definitions import short
from paramscope.source.files import Unreadable, read_file
from paramscope.source.finder import Assignment
from paramscope.source.library import is_of_python
from paramscope.source.values import mangled

Stage = Literal["construction", "forward", "other"]
"""When a statement runs: as the object is made, when the model runs, or when somebody calls for it."""
Function = ast.FunctionDef | ast.AsyncFunctionDef

_FIRST = frozenset({"", "__init__", "__new__", "__post_init__", "__init_subclass__", "__setstate__"})
# What runs with data, by the names that people and trainers give it.
_RUNNING = re.compile(
    r"__call__|_*forward.*|.*_forward|.*_step|_*encode.*|_*decode.*|_*predict.*|_*generate.*|_*sample.*|"
    r"(_*compute_)?loss|_*on_.*|.*_hook"
)
_MOVING = frozenset({"to", "type_as", "cuda", "cpu", "xpu", "npu", "hpu", "ipu"})
_HARMLESS = frozenset(
    {
        *("shape", "size", "dtype", "device", "ndim", "dim", "numel", "nelement", "item", "tolist", "is_cuda"),
        *("requires_grad", "element_size", "stride", "layout", "is_floating_point", "get_device", "type"),
    }
)
"""What may be asked of a tensor wherever it lies."""
_ASKING = frozenset({"len", "int", "float", "bool", "isinstance", "type", "print", "id", "hasattr"})
_ASIDE = frozenset({"__init__", "__repr__", "extra_repr", "reset_parameters", "__getstate__", "__deepcopy__"})
"""Methods whose reads say nothing of what the forward needs."""


class _Method(NamedTuple):
    owner: str
    """Own name of the class that holds it."""
    node: Function
    receiver: str | None
    """What it calls the instance; None for a static method."""


class Uses:
    """The methods of one class and of all that it inherits from, but torch's own."""

    def __init__(self, classes: Mapping[str, ClassRecord], type: str) -> None:
        cls = classes.get(type)
        records = () if cls is None else (cls, *(classes[base] for base in cls.bases if base in classes))
        self._bodies = {record.type: body for record in records if (body := _body(record)) is not None}
        self._methods: dict[str, list[_Method]] = {}
        for body in self._bodies.values():
            for node in body.body:
                if isinstance(node, Function):
                    method = _Method(body.name, node, _receiver(node))
                    self._methods.setdefault(node.name, []).append(method)
        self._properties = {
            name for name, found in self._methods.items() if any(_is_property(each.node) for each in found)
        }
        self._calls: dict[str, set[str]] = {}
        self._handed: set[str] = set()
        for name, found in self._methods.items():
            for method in found:
                self._read_calls(name, method)
        self._constructing = self._reached(name for name in self._methods if name in _FIRST)
        self._running = self._reached(name for name in self._methods if _RUNNING.fullmatch(name))

    def _read_calls(self, name: str, method: _Method) -> None:
        calls = self._calls.setdefault(name, set())
        parents = _parents(method.node)
        for node in parents:
            if not _is_of(node, method.receiver) or not isinstance(node, ast.Attribute):
                continue
            attribute = mangled(node.attr, method.owner)
            above = parents[node]
            if attribute not in self._methods:
                continue
            if attribute in self._properties or (isinstance(above, ast.Call) and above.func is node):
                if not _is_inner(node, parents):
                    calls.add(attribute)
            else:
                # Handed over: to a hook, as a rule.
                self._handed.add(attribute)

    def _reached(self, names: Iterable[str]) -> set[str]:
        found: set[str] = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending.extend(self._calls.get(name, ()))
        return found

    def stages(self, assignment: Assignment) -> set[Stage]:
        """When the statement of an assignment may run."""
        if self._is_deferred(assignment):
            return {"forward"}
        method = assignment.method
        found: set[Stage] = set()
        if method in _FIRST or method in self._constructing:
            found.add("construction")
        if _RUNNING.fullmatch(method) or method in self._running or method in self._handed:
            found.add("forward")
        return found or {"other"}

    def _is_deferred(self, assignment: Assignment) -> bool:
        """Whether it stands in a function within a method, as a hook does."""
        body = self._bodies.get(assignment.type)
        if body is None:
            return False
        return any(
            inner.lineno <= assignment.line <= (inner.end_lineno or 0) and _is_handed_on(inner)
            for method in body.body
            if isinstance(method, Function) and method.lineno <= assignment.line <= (method.end_lineno or 0)
            for inner in ast.walk(method)
            if inner is not method and isinstance(inner, Function | ast.Lambda)
        )

    def takes_data(self, assignment: Assignment) -> bool:
        """Whether the method of an assignment is given anything that it may have been made of."""
        body = self._bodies.get(assignment.type)
        for node in body.body if body is not None else ():
            if isinstance(node, Function) and node.lineno <= assignment.line <= (node.end_lineno or 0):
                arguments = node.args
                count = len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs)
                is_given = count > (_receiver(node) is not None) or arguments.vararg is not None
                return is_given and "Parameter(" not in assignment.source
        return False

    def is_moved_when_read(self, name: str) -> bool:
        """Whether some method reads an attribute, and each that does moves it (`.to`, `.type_as`, `.cuda`) there, or
        moves the attribute itself."""
        moved = 0
        for method_name, methods in self._methods.items():
            if method_name in _ASIDE:
                continue
            for method in methods:
                reads = _Reads(method, name)
                if reads.has_moved_itself():
                    return True
                for verdict in reads.verdicts():
                    if verdict == "raw":
                        return False
                    moved += verdict == "moved"
        return moved > 0

    def is_read_at_construction_alone(self, name: str) -> bool:
        """Whether the constructor reads an attribute and no other method does, though there is a forward."""
        if "forward" not in self._methods:
            return False
        readers = {
            method_name
            for method_name, methods in self._methods.items()
            if any(any(_Reads(method, name).verdicts()) for method in methods)
        }
        return bool(readers) and readers <= self._constructing - self._running


Verdict = Literal["moved", "harmless", "raw"]


class _Reads:
    """The reads of one attribute in one method."""

    def __init__(self, method: _Method, name: str) -> None:
        self._method = method
        self._name = name
        self._parents = _parents(method.node)

    def _places(self) -> Iterator[ast.Attribute]:
        for node in self._parents:
            if not isinstance(node, ast.Attribute) or not _is_of(node, self._method.receiver):
                continue
            if mangled(node.attr, self._method.owner) == self._name:
                yield node

    def has_moved_itself(self) -> bool:
        """Whether the method puts a moved copy into the attribute: `self.table = self.table.to(x.device)`."""
        for node in self._places():
            above = self._parents[node]
            if isinstance(node.ctx, ast.Store) and isinstance(above, ast.Assign):
                reads = (each for each in ast.walk(above.value) if isinstance(each, ast.Attribute))
                mine = set(self._places())
                if any(each in mine and self._verdict(each) == "moved" for each in reads):
                    return True
        return False

    def verdicts(self) -> Iterator[Verdict]:
        """What becomes of each read."""
        for node in self._places():
            if isinstance(node.ctx, ast.Load):
                yield self._verdict(node)
            elif isinstance(self._parents[node], ast.AugAssign):
                yield "raw"

    def _verdict(self, node: ast.expr, depth: int = 0) -> Verdict:
        """What becomes of what an expression gives."""
        at: ast.AST = node
        while True:
            above = self._parents.get(at)
            match above:
                case ast.Attribute(attr=attr):
                    if attr in _HARMLESS:
                        return "harmless"
                    if attr in _MOVING and isinstance(self._parents.get(above), ast.Call):
                        return "moved"
                case ast.Call(func=func) if func is at:
                    pass
                case ast.Call(func=ast.Name(id=called)) if called in _ASKING:
                    return "harmless"
                case ast.Call(func=ast.Attribute(attr="as_tensor"), keywords=keywords) if any(
                    keyword.arg == "device" for keyword in keywords
                ):
                    return "moved"
                case ast.Subscript(value=value) if value is at:
                    pass
                case ast.Compare(ops=[ast.Is() | ast.IsNot()]) | ast.If() | ast.While() | ast.Assert():
                    return "harmless"
                case ast.UnaryOp(op=ast.Not()) | ast.FormattedValue():
                    return "harmless"
                case ast.IfExp(test=test) if test is at:
                    return "harmless"
                case ast.Assign(targets=[ast.Name(id=local)]) if depth < 2:
                    return self._local(local, depth + 1)
                case _:
                    return "raw"
            at = above

    def _local(self, name: str, depth: int) -> Verdict:
        """What becomes of a local name that stands for the attribute."""
        found = {
            self._verdict(node, depth)
            for node in self._parents
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
        }
        if "raw" in found or not found:
            return "raw" if found else "harmless"
        return "moved" if "moved" in found else "harmless"


def _body(record: ClassRecord) -> ast.ClassDef | None:
    """The definition of a class; None where it cannot be read, or is torch's or Python's own."""
    if record.file is None or record.module.partition(".")[0] == "torch" or is_of_python(record):
        return None
    try:
        found = read_file(record.file).classes.get(short(record), [])
    except Unreadable:
        return None
    if len(found) == 1:
        return found[0]
    line = record.line
    fitting = [each for each in found if line is not None and each.lineno <= line <= (each.end_lineno or 0)]
    return fitting[0] if len(fitting) == 1 else None


def _receiver(node: Function) -> str | None:
    if any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in node.decorator_list):
        return None
    positional = [*node.args.posonlyargs, *node.args.args]
    return positional[0].arg if positional else None


def _is_property(node: Function) -> bool:
    names = {each.id if isinstance(each, ast.Name) else getattr(each, "attr", "") for each in node.decorator_list}
    return bool(names & {"property", "cached_property"})


def _is_of(node: ast.AST, receiver: str | None) -> bool:
    """Whether it is an attribute of the instance."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == receiver


@lru_cache(maxsize=1024)
def _parents(root: ast.AST) -> dict[ast.AST, ast.AST]:
    """What each node stands in; not to be changed, since it is kept, as the trees of files are."""
    # NOTE: no recursion: expressions may be nested as deeply as Python's own parser allows.
    found: dict[ast.AST, ast.AST] = {}
    pending = [root]
    while pending:
        node = pending.pop()
        for child in ast.iter_child_nodes(node):
            # Contexts such as `Load()` are one object for all.
            if not isinstance(child, ast.expr_context):
                found[child] = node
                pending.append(child)
    return found


def _is_inner(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """Whether it stands in a function within the method, which runs when that is called."""
    at: ast.AST | None = node
    while at in parents:
        at = parents[at]
        if at in parents and isinstance(at, Function | ast.Lambda):
            return True
    return False


def _is_handed_on(node: ast.AST) -> bool:
    """Whether an inner function takes anything: what takes nothing is a helper, called on the spot."""
    assert isinstance(node, Function | ast.Lambda)
    arguments = node.args
    return bool(arguments.posonlyargs or arguments.args or arguments.vararg)
