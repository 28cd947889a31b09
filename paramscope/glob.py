"""Path globs: `*` crosses dots, `?` is one character, and everything else stands for itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from paramscope.errors import GlobError, nearest


def compile_glob(glob: str) -> Callable[[str], bool]:
    """A predicate over paths. Raises GlobError for an empty glob."""
    if not isinstance(glob, str) or not glob:
        raise GlobError("an empty path glob matches nothing", "Write a path or a pattern: 'head.weight', '*.bias'.")
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in glob)
    pattern = re.compile("".join(parts), re.DOTALL)
    return lambda path: pattern.fullmatch(path) is not None


def any_of(globs: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text matches one of some globs; any text does where there are none. Raises GlobError."""
    compiled = [compile_glob(glob) for glob in globs]
    return lambda text: not compiled or any(matches(text) for matches in compiled)


def close_to(glob: str, paths: Iterable[str], *, most: int = 3) -> list[str]:
    """Paths that a mistyped glob may have meant, nearest first."""
    known = list(dict.fromkeys(paths))[:5_000]
    wanted = glob.strip("*").strip(".")
    return nearest(wanted, known, n=most, cutoff=0.5)
