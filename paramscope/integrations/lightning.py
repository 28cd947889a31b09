"""The Trainer of Lightning → a callback that audits before its first step, in place of its summary, and watches the
steps."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from paramscope.errors import MissingLibrary
from paramscope.integrations._fit import Fit

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import ModelSummary
else:
    ModelSummary = object

_FAMILIES = ("lightning.pytorch", "pytorch_lightning")
"""Lightning under its two names, of which each has classes of its own."""


class ParamscopeCallback(Fit, ModelSummary):
    """`Trainer(callbacks=[ParamscopeCallback()])`, of `lightning` and `pytorch_lightning`: audits the module with its
    optimizers, prints the report where Lightning prints its summary, hands the totals to the loggers, and watches
    each step. Nothing is changed.

    `report` and `watch` are there afterwards.
    """

    def __new__(cls, *given: Any, **options: Any) -> ParamscopeCallback:
        """Raises MissingLibrary where Lightning is not installed."""
        as_written: Any = cls
        made: ParamscopeCallback = object.__new__(_as_summary(as_written, _families()))
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        cls = type(self).__mro__[1]  # the class itself is made here, and cannot be named
        return cls.__new__, (cls,), self.__getstate__()

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """The optimizers are there."""
        from paramscope.capture import Made

        optimizers = _optimizers(trainer)
        made = Made.by(pl_module.configure_optimizers, optimizers) if optimizers else None
        self._audit(pl_module, made, is_first=trainer.is_global_zero)
        for logger in trainer.loggers:
            logger.log_metrics(self.totals, step=trainer.global_step)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """A checkpoint has been loaded, and validation has been tried."""
        self._look_on(trainer.model, _optimizers(trainer), is_first=trainer.is_global_zero)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Detaches."""
        self._close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Detaches."""
        self._close()


def _optimizers(trainer: Any) -> list[Any]:
    """Those of the module. Where it configures none, Lightning steps a stand-in."""
    return [each for each in trainer.optimizers if type(each).__name__ != "_MockOptimizer"]


@cache
def _as_summary(cls: Any, families: tuple[str, ...]) -> Any:
    """The class as a ModelSummary of Lightning's: where there is one, no trainer adds one of its own."""
    summaries = [import_module(f"{family}.callbacks").ModelSummary for family in families]
    return type(cls.__name__, (cls, *summaries), {"__module__": cls.__module__, "__qualname__": cls.__qualname__})


def _families() -> tuple[str, ...]:
    """Those that are imported by now; else the first that can be."""
    if found := tuple(family for family in _FAMILIES if sys.modules.get(family)):
        return found
    for family in _FAMILIES:
        try:
            import_module(family)
        except ModuleNotFoundError:
            continue
        return (family,)
    raise MissingLibrary("Lightning cannot be imported", "pip install lightning")
