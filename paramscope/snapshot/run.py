"""What a forward, a backward and a step of the model were seen to do. Nothing is known before a run is asked for."""

# NOTE: annotations are evaluated here: typing would compile the text of each, in ten times the time.
from typing import Literal, NamedTuple

RunKind = Literal["graph", "backward", "step"]
Gradient = Literal["none", "zero", "finite", "non-finite"]
Phase = Literal["forward", "backward", "step"]
RUN_KINDS: tuple[RunKind, ...] = ("graph", "backward", "step")


class TensorRun(NamedTuple):
    """What a run showed of one tensor, whatever number of slots it stands in."""

    tensor: int
    """Its number in the snapshot."""
    reached: bool | None
    """Whether the loss depends on it, so that backward gives it a gradient; None for what can have none."""
    grad: Gradient | None
    """What backward left in its `.grad`; None where no backward ran, and for what can have none."""
    grad_norm: float | None
    """Euclidean norm of that gradient; None where there is none, or it is not finite."""
    grad_rows: tuple[int, int] | None
    """(rows with an element of the gradient that is not zero, all rows): of an embedding, those that were looked up.
    None where there is no gradient, and for what has fewer than two dimensions."""
    changed_by: tuple[Phase, ...]
    """In which phases its bytes changed; empty after `graph`, which changes nothing."""
    update_ratio: float | None
    """Norm of what the step added over the norm before; None without a step, and for what was all zeros."""


class ModuleRun(NamedTuple):
    """What a run showed of one module, under its first path. Only of modules that were called."""

    module: str
    """Its first path."""
    calls: int
    """How often it was called."""
    output: str
    """What its first call returned: `1×64×112×112 float32`, `(1×12×768 float32, None)`, `logits: 1×10 float32`."""
    flops: int
    """Floating-point operations of all calls of its forward, those of the modules within it included: two for a
    multiplication with an addition."""
    activation_bytes: int
    """Bytes that its forward and those of the modules within it kept for backward, each storage in the first module
    that keeps it, and no parameter's."""


class LooseParameter(NamedTuple):
    """A Parameter that the loss depends on, and that neither the model nor an optimizer holds."""

    shape: tuple[int, ...]
    dtype: str


class Run(NamedTuple):
    """What was run, and what it showed."""

    kind: RunKind
    inputs: str
    """What forward was given, in the words of a call: `1×3×224×224 float32`, `input_ids=1×128 int64`."""
    loss: str
    """How a scalar was made of the output: `output.loss`, `the sum of output`, `loss(output)`."""
    is_loss_made: bool
    """Whether the loss is none of the user's, but the sum of what forward returned."""
    loss_requires_grad: bool
    """Whether backward could start from it."""
    is_loss_finite: bool | None
    """None where no value was computed."""
    flops: int
    """Of the whole forward."""
    activation_bytes: int
    """Kept for backward by the whole forward, also outside of any module."""
    input_bytes: int
    """Of the tensors that forward was given."""
    uncounted: tuple[tuple[str, int], ...]
    """(operation, how often it ran) of the operations on floating-point tensors for which torch has no formula."""
    is_random: bool | None
    """Whether two forwards of the same inputs differed though the roots are in eval mode; None where that was
    not tried."""
    notes: tuple[str, ...]
    """What was done otherwise than asked, and what could not be told."""
    seconds: float
    """What the run took."""
    loose: tuple[LooseParameter, ...]
    """What gets gradients beside the model, such as a Parameter that is made in a loss function."""
    tensors: tuple[TensorRun, ...]
    """By rising number; those that have slots."""
    modules: tuple[ModuleRun, ...]
    """In the snapshot's order."""

    @property
    def is_by_function(self) -> bool:
        """Whether a function of the user's was given the model, and ran it."""
        return self.inputs.endswith("(model)")

    @property
    def call(self) -> str:
        """What was run: `model(1×3×224×224 float32)`, or the call of such a function."""
        return self.inputs if self.is_by_function else f"model({self.inputs})"
