"""The call that builds an optimizer, told by its class's name, what it is given in plain sight, and its place."""

from __future__ import annotations

import ast
from collections.abc import Container, Sequence
from typing import Any, NamedTuple

from paramscope.snapshot import GroupRecord, OptimizerRecord, Snapshot
from paramscope.snapshot.hyperparameters import DEFAULTS
from paramscope.source.files import SourceFile, readable
from paramscope.source.finder import Assignment
from paramscope.source.library import is_installed
from paramscope.source.outside import Scope, assignment_at, own_files, root_classes, statements
from paramscope.source.search import Located, by_line
from paramscope.source.syntax import called, names_in, parameters

_UNKNOWN = object()
_SAME = frozenset({"list", "tuple", "set", "iter", "sorted", "chain"})
"""Calls that give what they are given."""


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
    """Whether nothing that a call is given, or not given, contradicts what the optimizer is."""
    given = _given(call.node)
    if given is None:
        return False
    options = _options(call.node)
    if not all(_fits(value, _told(record, option)) for option, value in options.items()):
        return False
    if _spells_out_all(call.node) and not _has_defaults_of_its_class(record, options):
        return False
    if not all(map(_fits_group, _dicts(given), record.groups)):
        return False
    count = _groups(given)
    if count is not None and count > len(record.groups):
        return False
    if count is not None and count < len(record.groups) and not _adds_groups(call):
        return False
    model = _model(call)
    # Built of another class in the same function: not this model's.
    return model is None or model in root_classes(snapshot)


def _given(call: ast.Call) -> ast.expr | None:
    """What a call is given first; None where it is given nothing."""
    if call.args:
        return call.args[0]
    named = (each.value for each in call.keywords if each.arg == "params")
    return next(named, call.keywords[0].value if call.keywords else None)


def _options(call: ast.Call) -> dict[str, Any]:
    """The options that a call names, with the values that it spells out."""
    found = {each.arg: _literal(each.value) for each in call.keywords if each.arg not in (None, "params")}
    return ({"lr": _literal(call.args[1])} if len(call.args) > 1 else {}) | found


def _spells_out_all(call: ast.Call) -> bool:
    """Whether it is in plain sight which options a call is given."""
    return (
        len(call.args) <= 2
        and not any(isinstance(each, ast.Starred) for each in call.args)
        and not any(each.arg is None for each in call.keywords)
    )


def _literal(node: ast.expr) -> Any:
    """A value as options hold it: a list as a tuple. None leaves it to the class."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _UNKNOWN
    return _UNKNOWN if value is None else tuple(value) if isinstance(value, list) else value


def _fits(value: Any, known: Sequence[Any]) -> bool:
    return value is _UNKNOWN or not known or value in known


def _told(record: OptimizerRecord, option: str) -> list[Any]:
    """What the optimizer was told that an option is: what it keeps for groups that do not say; or else what it is in
    some group."""
    defaults = dict(record.defaults or ())
    if option in defaults:
        return [defaults[option]]
    return [value for group in record.groups for value in _values(group, option)]


def _values(group: GroupRecord, option: str) -> list[Any]:
    """What an option is in a group now, and was before a scheduler."""
    options = dict(group.options)
    return [options[key] for key in (option, f"initial_{option}") if key in options]


def _has_defaults_of_its_class(record: OptimizerRecord, besides: Container[str]) -> bool:
    """Whether an optimizer was told nothing else than what its class says; of a class that is not known, it may be.

    besides: options that do not matter.
    """
    by_class = DEFAULTS.get(record.inner[0] if record.inner else record.type, {})
    return all(_fits(value, _told(record, option)) for option, value in by_class.items() if option not in besides)


def _dicts(given: ast.expr) -> list[ast.expr]:
    """The groups that a call spells out."""
    return given.elts if isinstance(given, ast.List | ast.Tuple) else []


def _fits_group(node: ast.expr, group: GroupRecord) -> bool:
    """Whether a group may be made of what a call spells out for it."""
    return not isinstance(node, ast.Dict) or all(
        _fits(_literal(value), _values(group, key.value))
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value != "params"
    )


def _groups(given: ast.expr) -> int | None:
    """How many groups a call is given; None where it does not say."""
    match given:
        case ast.List(elts=members) | ast.Tuple(elts=members) if members:
            if all(isinstance(each, ast.Dict) for each in members):
                return len(members)
            return 1 if all(map(_is_of_parameters, members)) else None
        case ast.Call(func=ast.Attribute(attr="parameters" | "named_parameters")):
            return 1
        case ast.Call(func=ast.Name(id="filter"), args=[_, members]):
            return _groups(members)
        case ast.Call(args=[_, *_] as members) if called(given) in _SAME:
            return 1 if {*map(_groups, members)} == {1} else None
        case ast.ListComp(elt=member, generators=loops) | ast.GeneratorExp(elt=member, generators=loops):
            over = [_groups(each.iter) for each in loops if names_in(each.target) & names_in(member)]
            return 1 if isinstance(member, ast.Name | ast.Tuple) and over == [1] else None
    return None


def _is_of_parameters(member: ast.expr) -> bool:
    """Whether what stands in a list is a parameter, or several, and no group."""
    if isinstance(member, ast.Starred):
        return _groups(member.value) == 1
    return isinstance(member, ast.Attribute)


def _adds_groups(call: _Call) -> bool:
    source = readable(call.assignment.file)
    return source is not None and any("add_param_group" in line for line in source.lines)


def _given_names(call: _Call) -> set[str]:
    """The local names in what a call is given first."""
    given = _given(call.node)
    return set() if given is None else names_in(given)


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


def _is_in_configure(call: _Call, roots: frozenset[str]) -> bool:
    """Whether it stands in a root's `configure_optimizers`."""
    name = getattr(call.scope.node, "name", "")
    return name == "configure_optimizers" and not roots.isdisjoint(call.scope.classes)
