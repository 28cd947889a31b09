"""What a name in a source file stands for: a function of the file or of one that it imports, or a package."""

from __future__ import annotations

import ast
import os
from typing import NamedTuple

from paramscope.source.files import SourceFile, readable
from paramscope.source.syntax import Function

_HOPS = 4
"""Files through which a name is passed on before nobody follows it any more."""


class Callee(NamedTuple):
    """A function, and the file that its own names are looked up in."""

    node: Function
    file: str
    given: int = 0
    """Parameters that the call does not hand over: the context of an `autograd.Function`."""


class Package(NamedTuple):
    """Something of a package that is not followed: `torch.nn.functional`, `random.choice`."""

    name: str


class _Import(NamedTuple):
    module: str
    """With the leading dots of a relative one."""
    name: str | None
    """What is taken of it; None for the module itself."""


def resolve(file: str, names: tuple[str, ...], hops: int = _HOPS) -> Callee | Package | None:
    """What a dotted name stands for in a file; None where the file does not say."""
    source = readable(file)
    if source is None or not names:
        return None
    first, *rest = names
    known = source.once(_names, lambda: _names(source)).get(first)
    if isinstance(known, Function):
        return Callee(known, file) if not rest else None
    if isinstance(known, ast.ClassDef):
        return _applied(known, file) if rest == ["apply"] else None
    if known is None or hops == 0:
        return None
    return _imported(file, known, tuple(rest), hops)


def _applied(cls: ast.ClassDef, file: str) -> Callee | None:
    """What `Function.apply` of a class calls."""
    forwards = (node for node in cls.body if isinstance(node, Function) and node.name == "forward")
    return next((Callee(node, file, 1) for node in forwards), None)


def _imported(file: str, known: _Import, rest: tuple[str, ...], hops: int) -> Callee | Package | None:
    wanted = (known.name, *rest) if known.name is not None else rest
    other = _file_of(file, known.module)
    if other is not None:
        found = resolve(other, wanted, hops - 1) if wanted else None
        if found is not None:
            return found
    # `from . import helpers`, `import package.helpers`: what is taken may be a module itself.
    for count in range(1, len(wanted)):
        dotted = ".".join(wanted[:count])
        deeper = _file_of(file, known.module + ("" if known.module.endswith(".") else ".") + dotted)
        if deeper is not None:
            return resolve(deeper, wanted[count:], hops - 1)
    if other is not None or known.module.startswith("."):
        return None
    return Package(".".join((known.module, *wanted)))


def _names(source: SourceFile) -> dict[str, Function | ast.ClassDef | _Import]:
    """What the functions, classes and imports of a file call themselves; the last one counts."""
    found: dict[str, Function | ast.ClassDef | _Import] = {}
    pending: list[ast.stmt] = list(reversed(source.tree.body))
    while pending:
        node = pending.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found[node.name] = node
            case ast.Import(names=aliases):
                for alias in aliases:
                    whole = alias.name if alias.asname else alias.name.partition(".")[0]
                    found[alias.asname or whole] = _Import(whole, None)
            case ast.ImportFrom(module=module, names=aliases, level=level):
                for alias in aliases:
                    found[alias.asname or alias.name] = _Import("." * level + (module or ""), alias.name)
            case ast.If(body=body, orelse=other) | ast.Try(body=body, orelse=other):
                pending.extend(reversed([*body, *other]))
    return found


def _file_of(file: str, module: str) -> str | None:
    """The file of a module, looked for beside the one that imports it and above: never on `sys.path`."""
    relative = module.lstrip(".")
    level = len(module) - len(relative)
    parts = [part for part in relative.split(".") if part]
    folder = os.path.dirname(file)
    if level:
        for _ in range(level - 1):
            folder = os.path.dirname(folder)
        return _existing(folder, parts)
    found = _existing(folder, parts)
    # The folder that holds the package that this file is part of.
    while found is None and os.path.isfile(os.path.join(folder, "__init__.py")):
        folder = os.path.dirname(folder)
        found = _existing(folder, parts) if parts[:1] != ["torch"] else None
    return found


def _existing(folder: str, parts: list[str]) -> str | None:
    base = os.path.join(folder, *parts)
    names = [f"{base}.py"] * bool(parts) + [os.path.join(base, "__init__.py")]
    return next(filter(os.path.isfile, names), None)
