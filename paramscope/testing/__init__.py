"""What a model must be, said in a test: `expect(model, trainable=294_912, frozen=["transformer.*"])`.

>>> from paramscope.testing import expect
>>> expect(model, trainable_only=["*.lora_*"], optimizer=optimizer, stepped="all-trainable")  # doctest: +SKIP

For pytest, unittest and plain scripts; importing it does not import torch.
"""

from paramscope.testing._expect import expect as expect
from paramscope.testing.wanted import ExpectationError as ExpectationError

__all__ = ["ExpectationError", "expect"]
