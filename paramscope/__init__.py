"""What is in an nn.Module, what will train, be saved, move, share memory, and be stepped.

>>> from paramscope import audit
>>> report = audit(model, optimizer=optimizer)   # doctest: +SKIP
>>> print(report)                                # doctest: +SKIP

Importing this package does not import torch.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it, without the time that importing typing takes
if TYPE_CHECKING:
    from paramscope.api import audit as audit
    from paramscope.api import capture as capture
    from paramscope.finding import Finding as Finding
    from paramscope.finding import Location as Location
    from paramscope.finding import Severity as Severity
    from paramscope.finding import Skipped as Skipped
    from paramscope.report import Report as Report
    from paramscope.snapshot import Snapshot as Snapshot
else:

    def __getattr__(name: str) -> object:
        """Imports a name when it is asked for: whoever only wants the version, or a command's help, need not wait."""
        import importlib

        home = _HOMES.get(name)
        if home is not None:
            value = globals()[name] = getattr(importlib.import_module(home), name)
            return value
        try:
            return importlib.import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None

    def __dir__() -> list[str]:
        return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


__version__ = "0.1.0"

__all__ = ["Finding", "Location", "Report", "Severity", "Skipped", "Snapshot", "audit", "capture"]
_HOMES = {
    "Finding": "paramscope.finding",
    "Location": "paramscope.finding",
    "Report": "paramscope.report",
    "Severity": "paramscope.finding",
    "Skipped": "paramscope.finding",
    "Snapshot": "paramscope.snapshot",
    "audit": "paramscope.api",
    "capture": "paramscope.api",
}
