"""Whether the source asks for what is shared: under a flag, by its name, or by handing one child's part on."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from paramscope import source
from paramscope.rules.facts import Facts
from paramscope.rules.places import own_parameters, type_of, upwards
from paramscope.rules.registration._repeats import Repeated
from paramscope.snapshot import ATTRIBUTE
from paramscope.snapshot.path import last_name, numberless, parent
from paramscope.source.library import is_of_torch, lineage


def is_asked_for(facts: Facts, path: str) -> bool:
    """Whether the name of a place says that it is shared, or what assigns it hangs on a flag that does."""
    return facts.once(("asked-for", numberless(path)), lambda: _is_asked_for(facts, path))


def _is_asked_for(facts: Facts, path: str) -> bool:
    if any(map(source.conditions.says_shared, path.split("."))):
        return True
    found = source.owners.locate(facts.snapshot, path, with_libraries=True).assignments
    return source.conditions.is_on_request(found)


def is_made_default(facts: Facts, path: str) -> bool:
    """Whether a place holds the default of an argument, which was made once."""
    return facts.once(
        ("made-default", numberless(path)),
        lambda: source.conditions.has_made_default(source.owners.locate(facts.snapshot, path).assignments),
    )


def is_repeat_asked_for(facts: Facts, found: Repeated) -> bool:
    """Whether the source asks that the children of a list are one, or that all their parameters are."""
    container, members = facts.modules.path_at(found.container), list(map(facts.modules.path_at, found.members))
    # The list may have been made at once, or filled one by one.
    if (container and is_asked_for(facts, container)) or is_asked_for(facts, members[1]):
        return True
    if found.is_one_object:
        return False
    files = _files_above(facts, members[1])
    # What was made by `copy.copy` shares all, and its parts are nobody's choice.
    return any(
        any(source.conditions.is_handed_on(file, classes, name, members[1]) for file, classes in files.items())
        or (not _is_whole_copy(facts, found) and _is_made_anew(facts, f"{members[1]}.{name}"))
        for name in _shared_parts(facts, found.members[1])
    )


def _shared_parts(facts: Facts, module: int) -> Iterator[str]:
    """Names of the children that stand elsewhere, too, and of the parameters that a module itself has in common."""
    columns, slots = facts.snapshot.module_columns, facts.snapshot.slot_columns
    for child in facts.children.get(module, ()):
        if child in columns.repeats or any(each == child for each in columns.repeats.values()):
            yield last_name(columns.paths[child])
    yield from (slots.names[slot] for slot in own_parameters(facts, module))


def _files_above(facts: Facts, path: str) -> dict[str, set[str]]:
    """Source files of the classes of a module, and of those above it, but torch's; and the own names of these."""
    files: dict[str, set[str]] = {}
    for module in upwards(facts, facts.modules.position(path)):
        for cls in lineage(facts.snapshot.classes, type_of(facts, module)):
            if cls.file is not None and not is_of_torch(cls):
                files.setdefault(cls.file, set()).add(source.definitions.own_class_name(cls))
    return files


def _is_whole_copy(facts: Facts, found: Repeated) -> bool:
    """Whether all children hold the same in all that they hold themselves, as what `copy.copy` makes does."""
    columns, slots = facts.snapshot.module_columns, facts.snapshot.slot_columns

    def held(module: int) -> list[tuple[str, int]]:
        children = facts.children.get(module, ())
        return [
            *((last_name(columns.paths[child]), columns.repeats.get(child, child)) for child in children),
            *(
                (slots.names[slot], slots.tensors[slot])
                for slot in facts.snapshot.tree.slots_of(module)
                if slots.holds[slot] != ATTRIBUTE
            ),
        ]

    first, *others = found.members
    return all(held(other) == held(first) for other in others)


def _is_made_anew(facts: Facts, path: str) -> bool:
    """Whether the class of its owner makes it by a call: what it holds now was put there later."""
    owner = parent(path)
    type = facts.modules[owner].type
    found = source.owners.locate(facts.snapshot, path).assignments
    mine = [each.value for each in found if each.type == type and each.value is not None]
    return bool(mine) and all(isinstance(value, ast.Call) for value in mine)
