"""Imports the code that a target names: a file by its path, or a module by its dotted name.

A file is imported under a name of its own, with its folder first on `sys.path`, package-relative imports
working, and never as `__main__`. What it prints goes to stderr, so that a report on stdout stays clean.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from paramscope.errors import TargetError
from paramscope.tracebacks import user_frames

_loaded: dict[Path, ModuleType] = {}
"""Modules by resolved file, so that a model and its optimizer come from one import."""
_siblings: dict[str, Path] = {}
"""Modules that files imported from their own folder, by name: in another folder the name may mean another module."""


def import_file(path: Path) -> ModuleType:
    """The module that a file defines, imported only once. Raises whatever the file raises."""
    path = path.resolve()
    if path in _loaded:
        return _loaded[path]
    package, root = _package_of(path)
    name = _free_name(f"{package}.{path.stem}" if package else _plain_name(path))
    _forget_foreign_siblings(path.parent)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{path.name} is not a Python file", "Name a .py file: path/model.py:build.")
    before = set(sys.modules)
    with search_path(path.parent, root):
        if package:
            importlib.import_module(package)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    for new in set(sys.modules) - before - {name}:
        file = getattr(sys.modules.get(new), "__file__", None)
        if isinstance(file, str) and Path(file).parent == path.parent and not package:
            _siblings[new] = path.parent
    _loaded[path] = module
    return module


def is_importable(name: str, folder: Path) -> bool:
    """Whether a dotted name is a module. Nothing is imported: not the packages above it either."""
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        return False
    folders: Sequence[str] | None = None
    with search_path(folder):
        for number in range(len(parts)):
            above = ".".join(parts[: number + 1])
            finders = (finder.find_spec(above, folders) for finder in sys.meta_path)
            spec = next((found for found in finders if found is not None), None)
            if spec is None or (folders := spec.submodule_search_locations) is None:
                return spec is not None and number == len(parts) - 1
    return True


@contextlib.contextmanager
def search_path(*folders: Path | None) -> Iterator[None]:
    """These folders first on `sys.path`, for as long as the block runs."""
    added = [str(folder) for folder in folders if folder is not None]
    sys.path[:0] = added
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for folder in added:
            with contextlib.suppress(ValueError):  # the user's code may have taken it away
                sys.path.remove(folder)


@contextlib.contextmanager
def own_arguments(file: str) -> Iterator[None]:
    """`sys.argv` as a script has it that was started without arguments: ours are none of the target's."""
    kept = sys.argv
    sys.argv = [file]
    try:
        yield
    finally:
        sys.argv = kept


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """What Python code, and what C code below it, prints to stdout goes to stderr."""
    sys.stdout.flush()
    with contextlib.redirect_stdout(sys.stderr):
        try:
            is_real = sys.__stdout__ is not None and sys.__stdout__.fileno() == 1
            kept = os.dup(1) if is_real else -1
        except (OSError, ValueError):  # closed, or replaced by an object without a descriptor
            kept = -1
        if kept < 0:
            yield
            return
        try:
            os.dup2(2, 1)
            yield
        finally:
            if sys.__stdout__ is not None:
                sys.__stdout__.flush()
            os.dup2(kept, 1)
            os.close(kept)


def is_on_import(error: BaseException) -> bool:
    """Whether the user's code that an error came from ran while its file was imported."""
    return any(frame.name == "<module>" for frame in user_frames(error))


def parses_command_line(error: BaseException) -> bool:
    """Whether an error comes from Python's argparse."""
    return any(Path(frame.filename).stem == "argparse" for frame in traceback.extract_tb(error.__traceback__))


def last_user_statements(error: BaseException) -> list[ast.stmt]:
    """The statements of the user's code on the line that an error came from, as syntax trees, without those that hold
    others; none where the source is not there."""
    from paramscope.source.files import Unreadable, read_file

    frames = user_frames(error)
    if not frames or frames[-1].lineno is None:
        return []
    line = frames[-1].lineno
    try:
        tree = read_file(frames[-1].filename).tree
    except Unreadable:
        return []
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt)
        and node.lineno <= line <= (node.end_lineno or node.lineno)
        and not hasattr(node, "body")
        and not isinstance(node, ast.Match)
    ]


def _package_of(path: Path) -> tuple[str, Path | None]:
    """(dotted name, folder above) of the package that a file is part of; ("", None) where it is in none."""
    parts: list[str] = []
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        parts.append(folder.name)
        folder = folder.parent
    return ".".join(reversed(parts)), folder if parts else None


def _plain_name(path: Path) -> str:
    """A readable module name for a file outside of packages, without dots: it has no parent package."""
    try:
        shown = path.with_suffix("").relative_to(Path.cwd())
    except ValueError:
        shown = Path("…", path.parent.name, path.stem)
    return shown.as_posix().replace(".", "_")


def _free_name(name: str) -> str:
    free, count = name, 1
    while free in sys.modules:
        count += 1
        free = f"{name}#{count}"
    return free


def _forget_foreign_siblings(folder: Path) -> None:
    """Drops modules that a file from another folder imported from beside it, where this folder has its own."""
    for name, home in list(_siblings.items()):
        if home != folder and ((folder / f"{name}.py").exists() or (folder / name).is_dir()):
            sys.modules.pop(name, None)
            del _siblings[name]
