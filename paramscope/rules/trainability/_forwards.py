"""What the `forward` of a class says, told from its source."""

from __future__ import annotations

import ast

from paramscope import source
from paramscope.rules.facts import Facts


def words_of_forward(facts: Facts, type: str) -> frozenset[str] | None:
    """The names and attributes that the body of a class's forward is made of; None where it cannot be read."""
    record = facts.class_of(type)
    record = None if record is None or record.forward is None else facts.class_of(record.forward)
    bodies = source.definitions.bodies_of(record) if record is not None else ()
    forwards = [
        each for body in bodies for each in body.body if isinstance(each, ast.FunctionDef) and each.name == "forward"
    ]
    return (
        frozenset(source.syntax.own_name(each) for forward in forwards for each in ast.walk(forward)) - {""} or None
    )
