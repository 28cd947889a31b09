"""Which of the assignments to a name can have caused a finding, told from what each writes and how."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from enum import IntEnum
from typing import Literal

from paramscope.source.contents import is_empty
from paramscope.source.finder import Assignment
from paramscope.source.locals import bound_to
from paramscope.source.repeating import is_built_for_each, is_repeating
from paramscope.source.syntax import called, given_to, inwards

Cause = Literal[
    "any", "plain", "hidden", "leaf", "derived", "graph", "alias", "view", "own", "learned", "live", "later"
]
"""What the assignment must be able to have made, or done:
`any`      whatever it is;
`plain`    a tensor that is no Parameter, and that no registration knows;
`hidden`   something that no registration knows;
`leaf`     a tensor, or a Parameter, that requires grad and that no registration knows;
`derived`  a tensor with a graph, that no registration knows;
`graph`    a tensor with a graph;
`alias`    another name, or another tensor, for what is there already;
`view`     as `alias`, or that which the others were made of;
`own`      a tensor of its own, where one of something else was meant;
`learned`  a Parameter, or a tensor that requires grad;
`live`     what the parameters themselves lie in;
`later`    another thing in the place of what was there when the module was built."""

_NAMES_BOUND = 8
"""Local names, one bound to what is made of the next, that are looked up."""
IN_PLACE = ("alias", "graph", "derived", "learned", "view", "own")
"""Causes that may be a change of a tensor in place."""


class Fit(IntEnum):
    """Whether an assignment can have caused something."""

    NO = 0
    MAYBE = 1
    SURE = 2
    """What it writes shows it."""


_BUILDING = frozenset({"", "__init__", "__new__", "__post_init__", "__setstate__"})
_REGISTERING = frozenset({"register_buffer", "register_parameter", "register_module", "add_module"})
_FRESH = frozenset(
    {
        *("zeros", "ones", "empty", "full", "rand", "randn", "randint", "randperm", "normal", "arange", "linspace"),
        *("logspace", "eye", "tensor", "zeros_like", "ones_like", "empty_like", "full_like", "rand_like"),
        *("randn_like", "randint_like", "tril_indices", "triu_indices", "bernoulli", "multinomial", "one_hot"),
        *("new_zeros", "new_ones", "new_full", "new_empty", "new_tensor", "hann_window", "hamming_window"),
    }
)
"""Functions whose tensors have memory of their own and no graph."""
_CUTTING = frozenset(
    {
        *("detach", "item", "tolist", "numpy", "size", "dim", "numel", "argmax", "argmin", "argsort", "long", "int"),
        *("bool", "byte", "short", "nonzero", "state_dict", "detach_", "eq", "ne", "gt", "lt", "ge", "le"),
    }
)
"""Methods and functions whose results have no graph."""
_HOUSING = frozenset({"Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict"})
_CUT = frozenset({"data", "shape", "dtype", "device", "ndim"})
_PLAIN_CALLS = frozenset({"int", "float", "len", "bool", "str", "range", "type", "isinstance", "dict", "set"})
_VIEWS = frozenset(
    {
        *("t", "view", "reshape", "transpose", "permute", "flatten", "squeeze", "unsqueeze", "expand", "expand_as"),
        *("view_as", "narrow", "select", "detach", "requires_grad_", "contiguous", "swapaxes", "unflatten", "chunk"),
        *("split", "diagonal", "as_strided", "movedim", "unbind", "set_", "detach_", "adjoint", "values", "unfold"),
    }
)
"""Methods that give a view of what they are called on, or the thing itself."""
_WRAPPING = frozenset({"from_numpy", "as_tensor", "frombuffer"})
_COPYING = frozenset({"clone", "deepcopy", "copy", "tensor", "new_tensor", "repeat", "item", "tolist"})
_LIVE = frozenset({"state_dict", "parameters", "named_parameters", "buffers", "named_buffers", "data"})


def able(assignments: Iterable[Assignment], cause: Cause) -> tuple[Assignment, ...]:
    """Those of some assignments, best first, that can have caused it; only those that surely have, where there are
    any."""
    fits = [(fit(each, cause), each) for each in assignments]
    best = max((level for level, _ in fits), default=Fit.NO)
    found = [each for level, each in fits if level is best] if best else []
    if found and found[0].is_whole:
        # What holds it was made before, and is innocent.
        found = [each for each in found if each.is_whole]
    return tuple(found)


def fit(assignment: Assignment, cause: Cause) -> Fit:
    """Whether an assignment can have caused it."""
    if cause == "any":
        return Fit.MAYBE
    value, how = assignment.value, assignment.how
    if isinstance(value, ast.Constant) or (how == ".data" and cause == "learned"):
        return Fit.NO
    if cause == "later":
        return Fit.NO if assignment.method in _BUILDING else Fit.MAYBE
    if not assignment.is_whole:
        return _fit_around(assignment, cause)
    if cause in ("plain", "hidden", "leaf", "derived") and how in _REGISTERING:
        return Fit.NO
    if cause in ("plain", "hidden", "leaf") and how == "+=":
        return Fit.NO
    match cause:
        case "plain":
            return Fit.NO if is_parameter(value) or is_module(value) or _moves_itself(assignment) else Fit.MAYBE
        case "hidden":
            return Fit.MAYBE
        case "leaf":
            return Fit.NO if is_module(value) else Fit.SURE if _asks_for_grad(value) else Fit.MAYBE
        case "derived" | "graph":
            return Fit.MAYBE if _leaves_graph(assignment) else Fit.NO
        case "learned":
            if is_module(value) or how == "+=":
                return Fit.NO
            return Fit.SURE if _asks_for_grad(value) or is_parameter(value) else Fit.MAYBE
        case "alias" | "view":
            return _fit_alias(assignment, cause)
        case "own":
            # Another name of something: `self.embed.weight`, `layer`, `blocks[0]`.
            is_name = value is not None and isinstance([*inwards(value)][-1], ast.Name)
            return Fit.NO if is_name and how != ".data" else Fit.MAYBE
        case "live":
            return _fit_live(value)
    return Fit.MAYBE


def _moves_itself(assignment: Assignment) -> bool:
    """Whether it only brings elsewhere what is there: `part.grid = part.grid.to(x)`."""
    match assignment.value:
        case ast.Call(func=ast.Attribute(value=ast.Attribute() as inner, attr="to" | "type_as" | "cuda" | "cpu")):
            return assignment.source.startswith(f"{ast.unparse(inner)} = ")
    return False


def _fit_around(assignment: Assignment, cause: Cause) -> Fit:
    """Of an assignment of something that holds what is looked for."""
    value = assignment.value
    if cause in ("derived", "graph", "alias", "live") and is_empty(value):
        return Fit.NO
    if cause == "live":
        return _fit_live(value)
    if cause in ("derived", "graph"):
        return Fit.NO if is_module(value) else Fit.MAYBE if _leaves_graph(assignment) else Fit.NO
    if cause == "plain" and is_module(value) and called(value) not in _HOUSING:
        # Torch's layers hold nothing but what they register.
        return Fit.NO
    if cause == "alias" and isinstance(value, ast.Call) and _is_made_of_plain_values(value):
        return Fit.NO
    if cause in ("alias", "view") and value is not None:
        return Fit.SURE if is_repeating(value) else Fit.NO if is_built_for_each(value) else Fit.MAYBE
    return Fit.MAYBE


def is_nothing(value: ast.expr | None) -> bool:
    """Whether an expression is None in plain sight."""
    return isinstance(value, ast.Constant) and value.value is None


def is_parameter(node: ast.expr | None) -> bool:
    """Whether an expression makes a Parameter, by the name that it calls."""
    return called(node) == "Parameter"


_HOUSES = frozenset({"nn", "torch.nn"})


def is_module(node: ast.expr | None) -> bool:
    """Whether an expression visibly makes a layer of torch.nn."""
    match node:
        case ast.Call(func=ast.Attribute(value=house, attr=name)) if name[:1].isupper():
            return ast.unparse(house) in _HOUSES and name not in ("Parameter", "Buffer", "UninitializedParameter")
    return False


def _asks_for_grad(node: ast.expr | None) -> bool:
    """Whether something in an expression is made to require grad."""
    for each in ast.walk(node) if node is not None else ():
        match each:
            case ast.keyword(arg="requires_grad", value=ast.Constant(value=True)):
                return True
            case ast.Call(func=ast.Attribute(attr="requires_grad_")):
                return True
    return False


def _leaves_graph(assignment: Assignment) -> bool:
    """Whether what an assignment writes may have a graph."""
    if assignment.how == ".data" or is_parameter(assignment.value) or is_module(assignment.value):
        return False
    # What is only handed over keeps the graph that it has.
    if assignment.is_ungraded and not isinstance(assignment.value, ast.Name | ast.Attribute | None):
        return False
    return assignment.value is None or may_have_graph(assignment.value, assignment)


def may_have_graph(node: ast.expr, where: Assignment, names: tuple[str, ...] = ()) -> bool:
    """Whether what an expression gives may have a graph.

    names: the local names on the way to it, each of which is looked up once.
    """
    inner: Iterable[ast.expr]
    match node:
        case ast.Constant() | ast.Compare() | ast.JoinedStr() | ast.Lambda() | ast.UnaryOp(op=ast.Not()):
            return False
        case ast.Name(id=name):
            values = _bound_to(name, where, names)
            return values is None or any(may_have_graph(each, where, (*names, name)) for each in values)
        case ast.Attribute(attr=attr):
            return attr not in _CUT
        case ast.Call(func=ast.Name(id=name)) if name in _PLAIN_CALLS or name in _FRESH:
            return False
        case ast.Call(func=ast.Attribute(attr=name)) if name in _CUTTING or name in _FRESH:
            return False
        case ast.Call(func=ast.Attribute(value=ast.Name(id="math" | "np" | "numpy"))):
            return False
        case ast.Call(func=ast.Attribute(value=house)) if _is_of_torch(house):
            return any(_may_make_graph(each, where, names) for each in given_to(node))
        case ast.Call(func=ast.Attribute(value=owner), args=args) if _is_tensor_like(owner):
            return any(_may_make_graph(each, where, names) for each in (owner, *args))
        case ast.Call():
            return not is_parameter(node)
        case ast.BinOp(left=ast.List() | ast.Tuple() as row, op=ast.Mult()):
            # `[torch.zeros(1)] * count`.
            inner = (row,)
        case ast.BinOp(left=left, right=right):
            return any(_may_make_graph(each, where, names) for each in (left, right))
        case ast.UnaryOp(operand=only) if _may_make_graph(only, where, names):
            return True
        case (
            ast.UnaryOp(operand=only)
            | ast.Subscript(value=only)
            | ast.Starred(value=only)
            | ast.NamedExpr(value=only)
            | ast.ListComp(elt=only)
            | ast.SetComp(elt=only)
            | ast.GeneratorExp(elt=only)
            | ast.DictComp(value=only)
        ):
            inner = (only,)
        case ast.IfExp(body=one, orelse=other):
            inner = (one, other)
        case (
            ast.BoolOp(values=members)
            | ast.List(elts=members)
            | ast.Tuple(elts=members)
            | ast.Set(elts=members)
            | ast.Dict(values=members)
        ):
            inner = members
        case _:
            return True
    return any(may_have_graph(each, where, names) for each in inner)


def _may_make_graph(node: ast.expr, where: Assignment, names: tuple[str, ...]) -> bool:
    """Whether what is computed from an expression may have a graph: a Parameter has none, but what is made of it."""
    values = [node, *((_bound_to(node.id, where, names) or ()) if isinstance(node, ast.Name) else ())]
    return any(is_parameter(each) or _asks_for_grad(each) for each in values) or may_have_graph(node, where, names)


def _bound_to(name: str, where: Assignment, names: tuple[str, ...]) -> list[ast.expr] | None:
    """As `bound_to`, of a name that is met on the way that some names lead; nothing for one that is met again."""
    if len(names) > _NAMES_BOUND:
        return None
    return [] if name in names else bound_to(name, where)


def _is_of_torch(node: ast.expr) -> bool:
    """Whether a function is one of torch's own modules': `torch.exp`, `F.relu`."""
    match node:
        case ast.Name(id="torch" | "F"):
            return True
        case ast.Attribute(value=ast.Name(id="torch"), attr="linalg" | "fft" | "special" | "nn"):
            return True
        case ast.Attribute(value=inner, attr="functional"):
            return _is_of_torch(inner) or (isinstance(inner, ast.Name) and inner.id == "nn")
    return False


def _is_tensor_like(node: ast.expr) -> bool:
    """Whether a method's receiver is likely a tensor, whose method makes a graph of it and its arguments only: a
    call, an item, a result. What `self.make()` gives is not told by its receiver."""
    inner = node.value if isinstance(node, ast.Attribute) else node
    return isinstance(inner, ast.Attribute) or not isinstance(node, ast.Name | ast.Attribute)


def _fit_alias(assignment: Assignment, cause: Cause) -> Fit:
    value, how = assignment.value, assignment.how
    if how == "+=" or how == "[]" or (how.endswith("_") and how != "set_"):
        return Fit.NO
    if value is None:
        return Fit.MAYBE
    if how == "set_" and isinstance(value, ast.Call):
        return Fit.SURE
    return _alias_fit(value, assignment, cause)


def _alias_fit(node: ast.expr, where: Assignment, cause: Cause, names: tuple[str, ...] = ()) -> Fit:
    match node:
        case ast.Constant() | ast.BinOp() | ast.UnaryOp() | ast.Compare():
            return Fit.NO
        case ast.Attribute(value=inner, attr="data" | "T" | "mT") | ast.Subscript(value=inner):
            return _alias_fit(inner, where, cause, names)
        case ast.Attribute():
            return Fit.SURE
        case ast.Name(id=name):
            values = _bound_to(name, where, names) or ()
            return max([Fit.MAYBE, *(_alias_fit(each, where, cause, (*names, name)) for each in values)])
        case ast.Call(args=[first, *_]) if is_parameter(node):
            return _alias_fit(first, where, cause, names)
        case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in _VIEWS and not _is_of_torch(owner):
            return _alias_fit(owner, where, cause, names)
        case ast.Call(func=ast.Attribute(attr=name), args=[first, *_]) if name in _VIEWS or name in _WRAPPING:
            return _alias_fit(first, where, cause, names)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="copy"), attr="copy")):
            # What lies in it is not copied.
            return Fit.SURE
        case ast.Call() if called(node) in _COPYING or _is_made_of_plain_values(node):
            return Fit.NO
        case ast.Call() if called(node) in _FRESH and cause != "view":
            return Fit.NO
    return Fit.MAYBE


def _is_made_of_plain_values(call: ast.Call) -> bool:
    """Whether a constructor, by its name, is given nothing that it could share: numbers, texts, sizes."""
    name = called(call)
    if not name[:1].isupper():
        return False
    if name in _HOUSING:
        return all(isinstance(each, ast.Call) and _is_made_of_plain_values(each) for each in given_to(call))
    return not any(_may_be_thing(node) for each in given_to(call) for node in ast.walk(each))


def _may_be_thing(node: ast.AST) -> bool:
    """Whether a name may be that of a tensor or a module: what is read of a config, or is called, is none."""
    match node:
        case ast.Attribute(value=ast.Name(id="self")):
            return True
        case ast.Name(id=name):
            return not name[:1].isupper() and name not in ("self", "nn", "torch", "config", "cfg", "args")
    return False


def _fit_live(value: ast.expr | None) -> Fit:
    if value is None:
        return Fit.MAYBE
    if is_empty(value) or called(value) == "deepcopy":
        return Fit.NO
    is_live = any(isinstance(each, ast.Attribute) and each.attr in _LIVE for each in ast.walk(value))
    return Fit.SURE if is_live else Fit.MAYBE
