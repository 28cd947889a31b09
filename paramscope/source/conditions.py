"""What stands around an assignment: flags that it hangs on, default arguments, parts that are handed on by name."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator

from paramscope.source.files import read_file, readable
from paramscope.source.finder import Assignment
from paramscope.source.locals import function_at
from paramscope.source.syntax import Function, called, holds_line, inwards, names_in, positional
from paramscope.text import words

_DEPTH = 3
"""Local names that are followed from one to the next."""
_ASKED = frozenset(
    {"share", "shared", "shares", "sharing", "tie", "tied", "ties", "tying", "reuse", "reused", "reuses"}
)
"""Words that say of a name that one thing is meant for several places."""
_ASKED_BY_FLAG = _ASKED | {"recurrent", "recurrence", "universal", "same", "single", "common"}
"""Those of what an `if` asks."""
_ADDING = frozenset({"append", "extend", "insert", "add", "add_module", "register_module"})


def says_shared(name: str) -> bool:
    """Whether a name says that one thing is meant for several places: `shared_block`, `tie_layers`."""
    return not _ASKED.isdisjoint(words(name))


def is_on_request(assignments: Iterable[Assignment]) -> bool:
    """Whether one of some statements, or what it writes, hangs on a flag that says share, tie or the like, or writes
    what is called so."""
    return any(_is_asked_for(each) for each in assignments)


def has_made_default(assignments: Iterable[Assignment]) -> bool:
    """Whether one of some statements writes an argument whose default is made by a call, once, as the function is
    defined."""
    return any(isinstance(_default(each), ast.Call) for each in assignments)


def is_handed_on(file: str, classes: Collection[str], name: str, path: str) -> bool:
    """Whether a function of a file, or one of some classes in it, assigns an attribute of this name from outside the
    object, and what it assigns is there already: `level.codebook = first.codebook`.

    path: of the object; where the code spells out a way to it, a step of that is one of its steps.
    """
    source = readable(file)
    if source is None:
        return False
    steps = set(path.split("."))
    classes_here = (each for each in ast.walk(source.tree) if isinstance(each, ast.ClassDef))
    methods = (each for body in classes_here for each in body.body if isinstance(each, Function))
    receivers = {each.args.args[0].arg for each in methods if each.args.args}
    stack: list[ast.AST] = [source.tree]
    while stack:
        node = stack.pop()
        # What another class does to its own parts says nothing of these.
        if isinstance(node, ast.ClassDef) and node.name not in classes:
            continue
        stack.extend(ast.iter_child_nodes(node))
        match node:
            case ast.Assign(targets=targets, value=ast.Name() | ast.Attribute() | ast.Subscript()):
                holders = [each.value for each in targets if isinstance(each, ast.Attribute) and each.attr == name]
            case ast.Call(
                func=ast.Name(id="setattr"),
                args=[holder, ast.Constant(value=attribute), ast.Name() | ast.Attribute() | ast.Subscript()],
            ) if attribute == name:
                holders = [holder]
            case _:
                continue
        if any(_may_be(holder, steps, receivers) for holder in holders):
            return True
    return False


def _may_be(holder: ast.expr, steps: set[str], receivers: set[str]) -> bool:
    """Whether an expression that is no method's own object may lead to what has these steps."""
    parts = list(inwards(holder))
    attributes = {each.attr for each in parts if isinstance(each, ast.Attribute)}
    is_item = any(isinstance(each, ast.Subscript) for each in parts)
    is_own = isinstance(parts[-1], ast.Name) and parts[-1].id in receivers
    return not attributes.isdisjoint(steps) or (not attributes and (is_item or not is_own))


def _is_asked_for(assignment: Assignment) -> bool:
    chain = _chain(assignment.file, assignment.line)
    if not chain:
        return False
    function = next((node for node in reversed(chain) if isinstance(node, Function)), None)
    tests = [node.test for node in chain if isinstance(node, ast.If)]
    statement = chain[-1]
    values = [] if assignment.value is None else [assignment.value]
    if isinstance(statement, ast.stmt) and not isinstance(statement, ast.If | ast.For | ast.While | ast.With):
        values.append(statement)  # type: ignore[arg-type]  # of a statement, too, the names are asked for
    # The instance is no local name: what else it is given is not what this one hangs on.
    followed = {each.arg for each in positional(function.args)[:1]} if function is not None else set()
    for _ in range(_DEPTH):
        tests += [each.test for value in values for each in ast.walk(value) if isinstance(each, ast.IfExp)]
        if _say(tests, _ASKED_BY_FLAG) or _say(values, _ASKED):
            return True
        bodies = list(_called(assignment.file, chain, values))
        tests = [each.test for body in bodies for each in ast.walk(body) if isinstance(each, ast.If | ast.IfExp)]
        names = set().union(*map(names_in, values)) - followed
        followed |= names
        values = []
        for inner, value in _writes(function, names) if function is not None else ():
            tests += inner
            values.append(value)
    return _say(tests, _ASKED_BY_FLAG)


def _say(nodes: Iterable[ast.AST], wanted: frozenset[str]) -> bool:
    return any(not wanted.isdisjoint(words(name)) for node in nodes for name in _names(node))


def _names(node: ast.AST) -> Iterator[str]:
    stack = [node]
    while stack:
        each = stack.pop()
        match each:
            # What the one that `[layer(…)] * n` repeats is made of says nothing of the others.
            case ast.BinOp(left=ast.List(elts=[ast.Call(func=inner)]), right=right):
                stack += [inner, right]
            case _:
                stack.extend(ast.iter_child_nodes(each))
        match each:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                yield name
            case ast.keyword(arg=str(name)):
                yield name


def _chain(file: str, line: int) -> list[ast.AST]:
    """The statements around a line, from the outermost in; the last one begins there, or holds it."""
    source = readable(file)
    pending: list[ast.AST] = [] if source is None else [source.tree]
    chain: list[ast.AST] = []
    while pending:
        node = pending.pop()
        if isinstance(node, ast.stmt):
            if not holds_line(node, line):
                continue
            chain.append(node)
            pending = []
        if not isinstance(node, ast.expr):
            pending += ast.iter_child_nodes(node)
    return chain


def _default(assignment: Assignment) -> ast.expr | None:
    """What an argument is that an assignment writes, unless the function is given one."""
    function = function_at(assignment.file, assignment.line)
    if function is None or not isinstance(assignment.value, ast.Name):
        return None
    name, args = assignment.value.id, function.args
    given = zip(reversed(positional(args)), reversed(args.defaults), strict=False)
    by_keyword = zip(args.kwonlyargs, args.kw_defaults, strict=True)
    return next((default for each, default in (*given, *by_keyword) if each.arg == name), None)


def _called(file: str, chain: list[ast.AST], values: Iterable[ast.AST]) -> Iterator[Function]:
    """Functions of the same file, and methods of the same class, that some code calls."""
    names = set()
    stack = list(values)
    while stack:
        each = stack.pop()
        # What makes the one that `[layer()] * n` repeats knows nothing of the others.
        if isinstance(each, ast.BinOp) and isinstance(each.left, ast.List):
            continue
        names.add(called(each))
        stack.extend(ast.iter_child_nodes(each))
    bodies = [
        *read_file(file).tree.body,
        *(inner for node in chain if isinstance(node, ast.ClassDef) for inner in node.body),
    ]
    yield from (each for each in bodies if isinstance(each, Function) and each.name in names)


def _writes(function: Function, names: set[str]) -> Iterator[tuple[list[ast.expr], ast.expr]]:
    """What a function puts into local names, or adds to what they hold; and the tests around that."""
    stack: list[tuple[ast.AST, list[ast.expr]]] = [(each, []) for each in function.body]
    while stack:
        node, tests = stack.pop()
        match node:
            case ast.Assign(targets=targets, value=value) if any(names & names_in(target) for target in targets):
                yield tests, value
            case ast.AugAssign(target=ast.Name(id=name), value=value) if name in names:
                yield tests, value
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method), args=[*_, value]) if (
                name in names and method in _ADDING
            ):
                yield tests, value
        inner = [*tests, node.test] if isinstance(node, ast.If) else tests
        stack.extend((child, inner) for child in ast.iter_child_nodes(node))
