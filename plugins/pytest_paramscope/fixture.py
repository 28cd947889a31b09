"""What a test receives as the fixture `paramscope`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from paramscope.api import audit
from paramscope.errors import ParamscopeError
from paramscope.report.face import Report
from paramscope.testing import expect

if TYPE_CHECKING:
    from torch import nn


class Paramscope:
    """`paramscope(model, optimizer)` is the report of a model; `paramscope.expect(…)` says what it must be."""

    def __call__(self, model: nn.Module | Mapping[str, nn.Module], optimizer: Any = None) -> Report:
        """As `paramscope.audit`. Raises NotAModule, NotAnOptimizer."""
        __tracebackhide__ = True
        try:
            return audit(model, optimizer=optimizer)
        except ParamscopeError as error:
            raise error.with_traceback(None) from None

    expect = staticmethod(expect)
