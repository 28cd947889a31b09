"""Whose a class is: the user's own, or a library's."""

from __future__ import annotations

import os
import re
import sys
from functools import cache, lru_cache

from paramscope.snapshot import ClassRecord

_INSTALLED = frozenset({"site-packages", "dist-packages"})
_SEPARATORS = re.compile(r"[\\/]+")


def is_own(record: ClassRecord) -> bool:
    """Whether the user wrote the class: its file is known, and neither installed nor part of Python or torch."""
    is_torch = record.module.partition(".")[0] == "torch"
    return record.file is not None and not is_torch and not is_installed(record.file)


@lru_cache(maxsize=4096)
def is_installed(file: str | None) -> bool:
    """Whether a source file belongs to a package that was installed, or to Python itself; not where there is none."""
    if file is None:
        return False
    if not _INSTALLED.isdisjoint(_SEPARATORS.split(file)):
        return True
    return os.path.abspath(file).startswith(_python_folders())


def is_of_python(record: ClassRecord) -> bool:
    """Whether the class comes with Python itself."""
    return record.module.partition(".")[0] in sys.stdlib_module_names and not is_own(record)


@cache
def _python_folders() -> tuple[str, ...]:
    import sysconfig

    folders = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    return tuple(sorted(os.path.join(os.path.realpath(folder), "") for folder in folders)) + tuple(
        sorted(os.path.join(os.path.abspath(folder), "") for folder in folders)
    )
