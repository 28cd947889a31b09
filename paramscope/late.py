"""Names of a package → what they stand for, imported when they are first asked for."""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it, without the time that importing typing takes
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def imported_late(package: str, homes: Mapping[str, str] | None = None) -> Callable[[str], Any]:
    """The `__getattr__` of a package that imports nothing of itself: what is not used costs nobody the time.

    homes: names that other modules hold, each with its module. Any other name is that of a module of the package.
    """

    def get(name: str) -> Any:
        from importlib import import_module

        home = homes.get(name) if homes else None
        if home is not None:
            value = getattr(import_module(home), name)
            setattr(import_module(package), name, value)
            return value
        try:
            return import_module(f"{package}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{package}.{name}":
                raise
            raise AttributeError(f"module {package!r} has no attribute {name!r}") from None

    return get
