"""What a model must be, said in a test: `expect(model, trainable=294_912, frozen=["transformer.*"])`.

>>> from paramscope.testing import expect
>>> expect(model, trainable_only=["*.lora_*"], optimizer=optimizer, stepped="all-trainable")  # doctest: +SKIP

For pytest, unittest and plain scripts. Importing it does not import torch, and expect itself comes in when
it is asked for: the pytest plugin imports this package in every run.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from paramscope.testing._expect import expect as expect
    from paramscope.testing.wanted import ExpectationError as ExpectationError
else:
    from paramscope.late import imported_late

    __getattr__ = imported_late(__name__, {"_expect": ("expect",), "wanted": ("ExpectationError",)})


__all__ = ["ExpectationError", "expect"]
