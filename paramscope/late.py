"""Names of a package → what they stand for, imported when they are first asked for."""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it, without the time that importing typing takes
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any


def imported_late(package: str, names: Mapping[str, Sequence[str]] | None = None) -> Callable[[str], Any]:
    """The `__getattr__` of a package that imports nothing of itself: what is not used costs nobody the time.

    names: by module of the package, the names in it that are the package's, too. Its modules are their own names.
    """
    homes = {name: module for module, several in (names or {}).items() for name in several}

    def get(name: str) -> Any:
        import sys
        from importlib import import_module

        module = f"{package}.{homes.get(name, name)}"
        try:
            found = import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise AttributeError(f"module {package!r} has no attribute {name!r}") from None
        if name in homes:
            found = getattr(found, name)
            setattr(sys.modules[package], name, found)
        return found

    return get
