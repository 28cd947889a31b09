"""Source files as syntax trees, each read once for as long as it stays as it is."""

from __future__ import annotations

import ast
import io
import linecache
import os
import stat
import time
import tokenize
import warnings
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")

FILES_BOUND = 64
"""Files that are kept; the one that was asked for longest ago goes first."""
SIZE_BOUND = 1 << 25
"""Bytes of a file that is parsed: 32 MiB."""
_YOUNG = 2_000_000_000
"""Nanoseconds after a change in which a second one may leave all times of a file as they are."""


class Unreadable(Exception):
    """Why nothing can be told of a file or a class."""


class SourceFile:
    """One file that was parsed."""

    __slots__ = ("_told", "classes", "lines", "tree")

    def __init__(self, text: str, tree: ast.Module) -> None:
        self.lines = text.split("\n")
        self.tree = tree
        self.classes = _classes(tree)
        """Every class of the file by qualified name, those of one name in the file's order."""
        self._told: dict[Hashable, Any] = {}

    def line(self, number: int) -> str:
        """One line, counted from 1, without the white space around it."""
        return self.lines[number - 1].strip()

    def once(self, key: Hashable, tell: Callable[[], T]) -> T:
        """What is worked out from the tree, the first time that it is asked for."""
        if key not in self._told:
            self._told[key] = tell()
        told: T = self._told[key]
        return told


_Signature: TypeAlias = tuple[int, ...] | None


class _Entry(NamedTuple):
    signature: _Signature
    is_young: bool
    """Whether the file may have changed since, though its signature is the same."""
    content: bytes | str
    result: SourceFile | Unreadable


_entries: dict[str, _Entry] = {}


def read_file(name: str) -> SourceFile:
    """The source file of this name, or the notebook cell. Raises Unreadable."""
    entry = _entries.pop(name, None)
    entry = _current(name, entry)
    _entries[name] = entry
    while len(_entries) > FILES_BOUND:
        _entries.pop(next(iter(_entries)), None)
    if isinstance(entry.result, Unreadable):
        # Not the one that is kept: it would collect the frames of all who ask.
        raise Unreadable(*entry.result.args)
    return entry.result


def readable(name: str | None) -> SourceFile | None:
    """As `read_file`; None where there is no file, or it cannot be read."""
    try:
        return None if name is None else read_file(name)
    except Unreadable:
        return None


def _current(name: str, entry: _Entry | None) -> _Entry:
    """What is kept of a file, if that is still what it holds; else read anew."""
    try:
        found = os.stat(name)
    except (OSError, ValueError) as error:
        cell = _cell(name)
        if cell is not None:
            return entry if entry is not None and entry.content == cell else _parsed(name, None, cell, cell)
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return _refused(f"{name} cannot be read: {why}")
    signature = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
    if entry is not None and entry.signature == signature and not entry.is_young:
        return entry
    # NOTE: a FIFO would block whoever opens it.
    if not stat.S_ISREG(found.st_mode):
        return _refused(f"{name} cannot be read: it is no regular file")
    if found.st_size > SIZE_BOUND:
        return _refused(f"{name} is not read: it is larger than {SIZE_BOUND:,} bytes")
    is_young = time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) < _YOUNG
    try:
        with open(name, "rb") as file:
            content = file.read(SIZE_BOUND)
    except OSError as error:
        return _refused(f"{name} cannot be read: {error.strerror or error}")
    kept = content if is_young else b""
    if entry is not None and entry.is_young and entry.signature is not None and entry.content == content:
        return _Entry(signature, is_young, kept, entry.result)
    try:
        text = _decoded(content)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        why = error.msg if isinstance(error, SyntaxError) else str(error)
        return _Entry(signature, is_young, kept, Unreadable(f"{name} cannot be decoded: {why}"))
    return _parsed(name, signature, text, kept, is_young=is_young)


def _refused(why: str) -> _Entry:
    return _Entry(None, is_young=True, content=b"", result=Unreadable(why))


def _cell(name: str) -> str | None:
    """What was typed into a notebook, which keeps its cells where tracebacks look for lines."""
    kept = linecache.cache.get(name)
    return "".join(kept[2]) if kept is not None and len(kept) == 4 else None


def _decoded(content: bytes) -> str:
    """The text as Python reads it: encoding by its first bytes or lines, any end of line as a newline."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    return io.IncrementalNewlineDecoder(None, translate=True).decode(content.decode(encoding), final=True)


def _parsed(name: str, signature: _Signature, text: str, kept: bytes | str, *, is_young: bool = True) -> _Entry:
    result: SourceFile | Unreadable
    try:
        with warnings.catch_warnings():
            # What its author was warned of when it was compiled.
            warnings.simplefilter("ignore")
            result = SourceFile(text, ast.parse(text))
    except SyntaxError as error:
        where = f" at line {error.lineno}" if error.lineno else ""
        result = Unreadable(f"{name} cannot be parsed: {error.msg}{where}")
    except ValueError as error:
        result = Unreadable(f"{name} cannot be parsed: {error}")
    except (RecursionError, MemoryError):
        result = Unreadable(f"{name} cannot be parsed: its expressions are nested too deeply")
    return _Entry(signature, is_young, kept, result)


def _classes(tree: ast.Module) -> dict[str, list[ast.ClassDef]]:
    found: dict[str, list[ast.ClassDef]] = {}
    stack: list[tuple[ast.AST, str]] = [(tree, "")]
    while stack:
        node, prefix = stack.pop()
        if isinstance(node, ast.ClassDef):
            found.setdefault(prefix + node.name, []).append(node)
            prefix = f"{prefix}{node.name}."
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            prefix = f"{prefix}{node.name}.<locals>."
        # Only statements hold classes.
        below = [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)]
        stack.extend((child, prefix) for child in reversed(below))
    return found
