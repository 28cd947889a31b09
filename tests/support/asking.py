"""Writes source files, imports them, and asks where attributes were assigned.

The lines that are expected carry their rank as a comment: `self.w = x  # 1`.
"""

from __future__ import annotations

import importlib.util
import itertools
import re
import sys
from pathlib import Path
from textwrap import dedent
from types import ModuleType

from paramscope.capture.classes import class_mro, class_record
from paramscope.snapshot import ClassRecord
from paramscope.source.search import Located, locate_attribute

_numbers = itertools.count()
_MARK = re.compile(r"#\s*(\d+)\s*$")


def written(folder: Path, text: str) -> Path:
    """A file of its own with this source, torch imported at its top."""
    path = folder / f"source_{next(_numbers)}.py"
    path.write_text("import torch\nfrom torch import nn\n" + dedent(text), encoding="utf-8")
    return path


def imported(path: Path) -> ModuleType:
    """A file as a module, known by its name while the tests run."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def load(folder: Path, text: str) -> ModuleType:
    """Source as a module."""
    return imported(written(folder, text))


def records(cls: type) -> dict[str, ClassRecord]:
    """What capture records of a class and its bases."""
    return {record.type: record for record in map(class_record, class_mro(cls)[:-1])}


def ask(cls: type, name: str) -> Located:
    """Where a class assigns an attribute."""
    known = records(cls)
    return locate_attribute(known, next(iter(known)), name)


def marks(located: Located) -> list[int]:
    """The ranks that stand in the lines that were found, in the order they were found."""
    found = []
    for each in located.assignments:
        line = Path(each.file).read_text(encoding="utf-8").split("\n")[each.line - 1]
        assert each.source == line.strip()
        mark = _MARK.search(line)
        assert mark is not None, f"found {line!r}"
        found.append(int(mark[1]))
    return found


def expected(text: str) -> list[int]:
    """The ranks that stand in a source."""
    return sorted(int(mark[1]) for line in text.split("\n") if (mark := _MARK.search(line)))


def check(folder: Path, text: str, name: str, cls: str = "Net") -> Located:
    """Asks for an attribute, and compares the lines and their order with the marks."""
    found = ask(getattr(load(folder, text), cls), name)
    assert marks(found) == expected(text), [each[1:4] for each in found.assignments]
    assert (found.reason is None) is bool(found.assignments)
    return found
