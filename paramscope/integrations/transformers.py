"""The Trainer of transformers → a callback that audits before its first step, and watches the steps."""

from __future__ import annotations

from typing import Any

from paramscope.errors import MissingLibrary
from paramscope.integrations._fit import Fit

try:
    from transformers import TrainerCallback
except ModuleNotFoundError as _error:
    raise MissingLibrary("transformers cannot be imported", "pip install transformers accelerate") from _error


class ParamscopeCallback(Fit, TrainerCallback):  # type: ignore[misc]  # its types are not read
    """`Trainer(…, callbacks=[ParamscopeCallback()])`: audits the model with the optimizer that the Trainer has made,
    prints the report, appends its totals to `trainer.state.log_history`, and watches each step. Nothing is changed.

    `report` and `watch` are there afterwards.
    """

    _in_mode = False
    """Whether the modes in which it trains were looked at."""

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, **others: Any
    ) -> None:
        """The optimizer is there, whenever it was made."""
        is_first = state.is_world_process_zero
        self._audit(model, optimizer, is_first=is_first)
        if is_first:
            state.log_history.append({**self.totals, "step": state.global_step})
        self._look_on(model, optimizer, is_first=is_first)
        self._in_mode = False

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        """The Trainer calls `model.train()` with each batch: what was frozen in eval mode is so no longer."""
        if not self._in_mode:
            self._in_mode = True
            self._audit_modes(model, is_first=state.is_world_process_zero)

    def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Detaches."""
        self._close()
