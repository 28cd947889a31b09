"""The call that builds an optimizer, told by its class's name, what it is given in plain sight, and its place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, NamedTuple

from paramscope.snapshot import OptimizerRecord, Snapshot
from paramscope.source.files import SourceFile, readable
from paramscope.source.finder import Assignment
from paramscope.source.library import is_installed
from paramscope.source.outside import Scope, assignment_at, own_files, root_classes, statements
from paramscope.source.search import Located, by_line
from paramscope.source.syntax import called, names_in, parameters

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
    calls = _by_maker(record, own) or [each for file in own_files(snapshot) for each in _calls(file, own)]
    if not calls:
        return Located((), f"no file of the user's own classes calls {own}")
    fitting = [each for each in calls if _can_be(each, record, snapshot)]
    roots = root_classes(snapshot)
    fitting = [each for each in fitting if _says_its_options(each, record)] or fitting
    fitting = [each for each in fitting if _is_in_configure(each, roots)] or fitting
    # NOTE: a function that is given the model may build it as well as one that builds both.
    if not any(map(_is_given_its_model, fitting)):
        fitting = [each for each in fitting if _model(each) in roots] or fitting
    lines = by_line(each.assignment for each in fitting)
    if len(lines) == 1:
        return Located(tuple(lines.values()), None)
    if not lines:
        return Located((), f"no call of {own} in the files of the user's own classes builds one like this")
    return Located((), f"several lines may build this {own}: {', '.join(str(line) for _, line in sorted(lines)[:4])}")


def _by_maker(record: OptimizerRecord, own: str) -> list[_Call]:
    """The calls in the function that is known to have made an optimizer; where it has none, in what that calls."""
    source = None if record.file is None or is_installed(record.file) else readable(record.file)
    if source is None or record.file is None:
        return []
    within = f"{record.function}.<locals>."
    calls = _calls(record.file, own)
    found = [each for each in calls if each.scope.prefix.startswith(within)]
    if found or not calls:
        return found
    helpers = {called(node) for node, scope, _ in statements(source) if scope.prefix.startswith(within)} - {""}
    return [each for each in calls if getattr(each.scope.node, "name", "") in helpers]


def _calls(file: str, own: str) -> list[_Call]:
    source = readable(file)
    return [] if source is None else source.once(_calls, lambda: _all_calls(source, file)).get(own, [])


def _all_calls(source: SourceFile, file: str) -> dict[str, list[_Call]]:
    """The calls of classes in a file, by the own name of the class."""
    found: dict[str, list[_Call]] = {}
    for node, scope, line in statements(source):
        name = called(node)
        if isinstance(node, ast.Call) and name[:1].isupper():
            made = assignment_at(file, source, scope, line, node)
            found.setdefault(name, []).append(_Call(node, scope, made))
    return found


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
    source = readable(call.assignment.file)
    return source is not None and any("add_param_group" in line for line in source.lines)


def _given_names(call: _Call) -> set[str]:
    """The local names in what a call is given first."""
    return names_in(call.node.args[0] if call.node.args else call.node.keywords[0].value)


def _model(call: _Call) -> str | None:
    """Own name of the class of the model whose parameters a call is given, where the function builds that in plain
    sight; None where it does not say."""
    names = _given_names(call)
    made: set[str] = set()
    for node in ast.walk(call.scope.node):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as value) if name in names:
                made.add(called(value))
    # What another function gives may be a model of any class.
    return made.pop() if len(made) == 1 and all(cls[:1].isupper() for cls in made) else None


def _is_given_its_model(call: _Call) -> bool:
    """Whether the function was handed what its optimizer is built for."""
    arguments = getattr(call.scope.node, "args", None)
    return isinstance(arguments, ast.arguments) and not _given_names(call).isdisjoint(parameters(arguments))


def _says_its_options(call: _Call, record: OptimizerRecord) -> bool:
    """Whether it spells out an option that is what the optimizer has."""
    return any(value is not _UNKNOWN and value in _values(record, option) for option, value in _literals(call.node))


def _is_in_configure(call: _Call, roots: frozenset[str]) -> bool:
    """Whether it stands in a root's `configure_optimizers`."""
    name = getattr(call.scope.node, "name", "")
    return name == "configure_optimizers" and not roots.isdisjoint(call.scope.classes)
