"""Whose a class is: the user's own, or a library's."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from functools import cache, lru_cache

from paramscope.snapshot import ClassRecord

_INSTALLED = frozenset({"site-packages", "dist-packages"})
_SEPARATORS = re.compile(r"[\\/]+")


def is_own(record: ClassRecord) -> bool:
    """Whether the user wrote the class: its file is known, and neither installed nor part of Python or torch."""
    return record.file is not None and not is_of_torch(record) and not is_installed(record.file)


def is_of_torch(record: ClassRecord) -> bool:
    """Whether the class is torch's own."""
    return record.module.partition(".")[0] == "torch"


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


def lineage(classes: Mapping[str, ClassRecord], type: str) -> tuple[ClassRecord, ...]:
    """A class and all that it inherits from, in the order of its MRO; none where it was not recorded."""
    cls = classes.get(type)
    return () if cls is None else (cls, *(classes[base] for base in cls.bases if base in classes))


@cache
def _python_folders() -> tuple[str, ...]:
    import sysconfig

    folders = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    return tuple({os.path.join(to(folder), "") for folder in folders for to in (os.path.realpath, os.path.abspath)})
