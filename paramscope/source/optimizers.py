"""The call that builds an optimizer, told by its class's name, what it is given in plain sight, and its place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

from paramscope.snapshot import OptimizerRecord, Snapshot
from paramscope.source.finder import Assignment
from paramscope.source.outside import Scope, own_files, read, root_classes, statements
from paramscope.source.search import Located

_UNKNOWN = object()


class _Call(NamedTuple):
    """A call of a class of the optimizer's name."""

    node: ast.Call
    scope: Scope
    assignment: Assignment


def locate_optimizer(snapshot: Snapshot, name: str) -> Located:
    """Where an optimizer is built: one line, or none with the reason."""
    record = next((each for each in snapshot.optimizers if each.name == name), None)
    if record is None:
        return Located((), f"no optimizer is called {name!r}")
    own = (record.inner[0] if record.inner else record.type).rpartition(".")[2]
    calls = [each for file in own_files(snapshot) for each in _calls(file, own)]
    if not calls:
        return Located((), f"no file of the user's own classes calls {own}")
    fitting = [each for each in calls if _can_be(each, record, snapshot)]
    for is_likelier in (_says_its_options, _is_in_configure, _builds_the_root):
        likely = [each for each in fitting if is_likelier(each, record, snapshot)]
        # NOTE: a function that is given the model may build it as well as one that builds both.
        if is_likelier is _builds_the_root and any(_is_given_its_model(each) for each in fitting):
            continue
        fitting = likely or fitting
    lines = {(each.assignment.file, each.assignment.line): each.assignment for each in fitting}
    if len(lines) == 1:
        return Located(tuple(lines.values()), None)
    if not lines:
        return Located((), f"no call of {own} in the files of the user's own classes builds one like this")
    return Located((), f"several lines may build this {own}: {', '.join(str(line) for _, line in sorted(lines)[:4])}")


def _calls(file: str, own: str) -> Iterator[_Call]:
    source = read(file)
    if source is None:
        return
    known = source.read.get(_calls)
    if known is None:
        found: dict[str, list[_Call]] = {}
        lines: dict[ast.AST, int] = {}
        for node, scope in statements(source):
            line = node.lineno if isinstance(node, ast.stmt) else lines.get(node, 0)
            for child in ast.iter_child_nodes(node):
                lines[child] = line
            match node:
                case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called)) if called[:1].isupper():
                    method = getattr(scope.node, "name", "")
                    made = Assignment(file, line, method, source.line(line), ".".join(scope.classes), node)
                    found.setdefault(called, []).append(_Call(node, scope, made))
        known = source.read[_calls] = found
    assert isinstance(known, dict)
    yield from known.get(own, ())


def _can_be(call: _Call, record: OptimizerRecord, snapshot: Snapshot) -> bool:
    """Whether nothing that a call is given contradicts what the optimizer is."""
    if not call.node.args and not call.node.keywords:
        return False
    for option, value in _literals(call.node):
        known = _values(record, option)
        if known and value not in known:
            return False
    count = _groups(call.node)
    if count is not None and count > len(record.groups):
        return False
    if count is not None and count < len(record.groups) and not _adds_groups(call):
        return False
    model = _model(call)
    # Built of another class in the same function: not this model's.
    return model is None or model in root_classes(snapshot)


def _literals(call: ast.Call) -> Iterator[tuple[str, Any]]:
    """The options that a call spells out."""
    if len(call.args) > 1:
        yield "lr", _literal(call.args[1])
    for keyword in call.keywords:
        if keyword.arg is not None and keyword.arg != "params":
            yield keyword.arg, _literal(keyword.value)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _UNKNOWN


def _values(record: OptimizerRecord, option: str) -> list[Any]:
    """What an option is in each group now, and was before a scheduler."""
    found: list[Any] = [_UNKNOWN]
    for group in record.groups:
        options = dict(group.options)
        found += [options[key] for key in (option, f"initial_{option}") if key in options]
    return found if len(found) > 1 else []


def _groups(call: ast.Call) -> int | None:
    """How many groups a call spells out; None where it does not say."""
    given = call.args[0] if call.args else next((each.value for each in call.keywords if each.arg == "params"), None)
    match given:
        case ast.List(elts=members) | ast.Tuple(elts=members) if members:
            if all(isinstance(each, ast.Dict) for each in members):
                return len(members)
            return None if any(isinstance(each, ast.Dict | ast.Name) for each in members) else 1
        case ast.Call(func=ast.Attribute(attr="parameters" | "named_parameters")):
            return 1
    return None


def _adds_groups(call: _Call) -> bool:
    source = read(call.assignment.file)
    return source is not None and any("add_param_group" in line for line in source.lines)


def _model(call: _Call) -> str | None:
    """Own name of the class of the model whose parameters a call is given, where the function builds that in plain
    sight; None where it does not say."""
    given = call.node.args[0] if call.node.args else call.node.keywords[0].value
    names = {each.id for each in ast.walk(given) if isinstance(each, ast.Name)}
    made: set[str] = set()
    for node in ast.walk(call.scope.node):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func)) if name in names:
                match func:
                    case ast.Name(id=cls) | ast.Attribute(attr=cls) if cls[:1].isupper():
                        made.add(cls)
                    case _:
                        return None
    return made.pop() if len(made) == 1 else None


def _is_given_its_model(call: _Call) -> bool:
    """Whether the function was handed what its optimizer is built for."""
    given = call.node.args[0] if call.node.args else call.node.keywords[0].value
    names = {each.id for each in ast.walk(given) if isinstance(each, ast.Name)}
    arguments = getattr(call.scope.node, "args", None)
    if not isinstance(arguments, ast.arguments):
        return False
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return bool(names & {each.arg for each in every})


def _says_its_options(call: _Call, record: OptimizerRecord, snapshot: Snapshot) -> bool:
    """Whether it spells out an option that is what the optimizer has."""
    return any(value is not _UNKNOWN and value in _values(record, option) for option, value in _literals(call.node))


def _is_in_configure(call: _Call, record: OptimizerRecord, snapshot: Snapshot) -> bool:
    """Whether it stands in a root's `configure_optimizers`."""
    name = getattr(call.scope.node, "name", "")
    return name == "configure_optimizers" and not root_classes(snapshot).isdisjoint(call.scope.classes)


def _builds_the_root(call: _Call, record: OptimizerRecord, snapshot: Snapshot) -> bool:
    """Whether the function that holds it builds the model, too."""
    return _model(call) in root_classes(snapshot)
