"""What is in an nn.Module, what will train, be saved, move, share memory, and be stepped.

>>> from paramscope import audit
>>> report = audit(model, optimizer=optimizer)   # doctest: +SKIP
>>> print(report)                                # doctest: +SKIP

Importing this package does not import torch.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from paramscope.api import audit as audit
    from paramscope.api import capture as capture
    from paramscope.api import diff as diff
    from paramscope.api import watch as watch
    from paramscope.report.face import Diff as Diff
    from paramscope.report.face import Report as Report
    from paramscope.report.finding import Finding as Finding
    from paramscope.report.finding import Location as Location
    from paramscope.report.finding import Severity as Severity
    from paramscope.report.finding import Skipped as Skipped
    from paramscope.snapshot import Snapshot as Snapshot
    from paramscope.version import __version__ as __version__
else:
    from paramscope.late import imported_late

    __getattr__ = imported_late(
        __name__,
        {
            "api": ("audit", "capture", "diff", "watch"),
            "report.face": ("Diff", "Report"),
            "report.finding": ("Finding", "Location", "Severity", "Skipped"),
            "snapshot": ("Snapshot",),
            "version": ("__version__",),
        },
    )

    def __dir__() -> list[str]:
        return sorted({*__all__, "__version__", *(name for name in globals() if name.startswith("__"))})


__all__ = [
    "Diff",
    "Finding",
    "Location",
    "Report",
    "Severity",
    "Skipped",
    "Snapshot",
    "audit",
    "capture",
    "diff",
    "watch",
]
