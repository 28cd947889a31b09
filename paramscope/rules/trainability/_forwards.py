"""What the `forward` of a class says, told from its source."""

from __future__ import annotations

import ast

from paramscope.rules.facts import Facts
from paramscope.source.definitions import bodies_of
from paramscope.source.syntax import own_name


def words_of_forward(facts: Facts, type: str) -> frozenset[str] | None:
    """The names and attributes that the body of a class's forward is made of; None where it cannot be read."""
    record = facts.class_of(type)
    record = None if record is None or record.forward is None else facts.class_of(record.forward)
    functions = (node for body in bodies_of(record) for node in body.body) if record is not None else ()
    forwards = (each for each in functions if isinstance(each, ast.FunctionDef) and each.name == "forward")
    return frozenset(own_name(each) for forward in forwards for each in ast.walk(forward)) - {""} or None
