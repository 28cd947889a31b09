"""Writes docs/facts.md from the docstrings of what rules work with: `python docs/facts.py`; `make docs` does."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from paramscope.rules.facts import Facts, ModuleKind, SlotKind  # noqa: E402  # found by the line above
from paramscope.rules.rule import Blame, Problem, Rule, Undecided  # noqa: E402
from paramscope.snapshot import oddities, records  # noqa: E402

PAGE = ROOT / "docs" / "facts.md"


def classes_of(module: ModuleType) -> tuple[type, ...]:
    """The classes that a module defines, in the order of its source."""
    return tuple(
        each for each in vars(module).values() if isinstance(each, type) and each.__module__ == module.__name__
    )


PARTS = {
    "Questions": (Facts,),
    "What a rule yields": (Rule, Problem, Blame, Undecided),
    "Slots and modules by the dozen": (SlotKind, ModuleKind),
    "Records: slots, modules, storages, optimizers": classes_of(records),
    "Records: what only some slots, modules and classes have": classes_of(oddities),
}
HEAD = """\
# What a rule can ask

A rule's `check(facts)` receives a `Facts`. This page lists the questions it answers and the records that the answers
consist of. It is generated from the docstrings by `make docs`, and a test fails when it is stale.

Start from `slot_kinds` and `module_kinds`: even a model of a million slots has only a few dozen of them. Records cost
more to build, so ask for them only for the slots that remain. A position (an `int`) numbers slots and modules in the
order of the model.
"""


class Member(NamedTuple):
    """One field, property or method of a class."""

    signature: str
    doc: str


def members(cls: type) -> Iterator[Member]:
    """The public members of a class, in the order of its source, as their docstrings describe them."""
    (tree,) = ast.parse(inspect.getsource(cls)).body
    assert isinstance(tree, ast.ClassDef)
    body = list(tree.body)
    for number, node in enumerate(body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield Member(f"{node.target.id}: {ast.unparse(node.annotation)}", _below(body, number))
        elif isinstance(node, ast.FunctionDef) and node.name == "__init__":
            for place, each in enumerate(node.body):
                target = each.targets[0] if isinstance(each, ast.Assign) else getattr(each, "target", None)
                if isinstance(target, ast.Attribute):
                    yield Member(target.attr, _below(node.body, place))
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield Member(_signature(node), ast.get_docstring(node) or "")


def _below(body: list[ast.stmt], number: int) -> str:
    """The string under a field; empty where there is none."""
    following = body[number + 1] if number + 1 < len(body) else None
    if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
        return inspect.cleandoc(str(following.value.value))
    return ""


def _signature(node: ast.FunctionDef) -> str:
    returns = ast.unparse(node.returns) if node.returns else "None"
    decorators = {ast.unparse(each) for each in node.decorator_list}
    if decorators & {"property", "cached_property"}:
        return f"{node.name}: {returns}"
    arguments = node.args
    arguments.args = arguments.args[1:]
    return f"{node.name}({ast.unparse(arguments)}) -> {returns}"


def section(cls: type) -> str:
    """A class as its name, its docstring and a table of its members."""
    rows = [f"| `{_cell(each.signature)}` | {_cell(' '.join(each.doc.split()))} |" for each in members(cls)]
    doc = inspect.cleandoc(cls.__doc__ or "")
    return "\n".join([f"### {cls.__name__}", "", doc, "", "| name | what it is |", "| --- | --- |", *rows])


def _cell(words: str) -> str:
    return words.replace("|", "\\|")


def page() -> str:
    """The whole page."""
    parts = [HEAD.rstrip()]
    for heading, classes in PARTS.items():
        parts += [f"## {heading}", *map(section, classes)]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
