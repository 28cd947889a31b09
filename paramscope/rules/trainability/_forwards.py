"""What the `forward` of a class says, told from its source."""

from __future__ import annotations

import ast

from paramscope import source
from paramscope.rules.facts import Facts


def words_of_forward(facts: Facts, type: str) -> frozenset[str] | None:
    """The names and attributes that the body of a class's forward is made of; None where it cannot be read."""
    record = facts.class_of(type)
    record = None if record is None or record.forward is None else facts.class_of(record.forward)
    if record is None or record.file is None:
        return None
    try:
        bodies = source.files.read_file(record.file).classes.get(source.definitions.short(record), [])
    except source.files.Unreadable:
        return None
    words: set[str] = set()
    for body in bodies:
        for node in body.body:
            if isinstance(node, ast.FunctionDef) and node.name == "forward":
                for each in ast.walk(node):
                    if isinstance(each, ast.Name):
                        words.add(each.id)
                    elif isinstance(each, ast.Attribute):
                        words.add(each.attr)
    return frozenset(words) or None
