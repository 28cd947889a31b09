"""What is in an nn.Module, what will train, be saved, move, share memory, and be stepped.

>>> from paramscope import audit
>>> report = audit(model, optimizer=optimizer)   # doctest: +SKIP
>>> print(report)                                # doctest: +SKIP

Importing this package does not import torch.
"""

from paramscope.api import audit as audit
from paramscope.api import capture as capture
from paramscope.finding import Finding as Finding
from paramscope.finding import Location as Location
from paramscope.finding import Severity as Severity
from paramscope.finding import Skipped as Skipped
from paramscope.report import Report as Report
from paramscope.snapshot import Snapshot as Snapshot

__version__ = "0.1.0"

__all__ = ["Finding", "Location", "Report", "Severity", "Skipped", "Snapshot", "audit", "capture"]
