"""Forward, backward and step as they really are: the gradients that arrive, what changes, and by how much."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from paramscope.capture import Seen
from paramscope.capture.handed import handed_over
from paramscope.errors import RunError
from paramscope.probe.elements import Watch
from paramscope.probe.failing import is_without_hooks, running
from paramscope.probe.gradients import Arrived, arrived, norm_of, widened
from paramscope.probe.graph import leaves, loose_parameters
from paramscope.probe.keep import Keeper
from paramscope.probe.measure import UNCOUNTED, Measure, tensors_in
from paramscope.probe.ways import Loss, call, is_function, loss_of, made
from paramscope.snapshot import Phase, Run, TensorRun

_PIECE = 2**17
"""Elements that are subtracted at once: the difference stays in the cache of a core until its norm is taken."""


def run_real(
    seen: Seen, model: Any, optimizer: Any, inputs: Any, loss: Any, keeper: Keeper, *, is_stepped: bool
) -> Run:
    """Runs forward and backward, and steps the optimizers where there are some to step. What they change is for the
    keeper to put back, which has visited the model and the optimizers.

    Raises RunError.
    """
    tensors = sorted(
        (each for each in seen.held if isinstance(each, torch.Tensor)), key=lambda each: seen.tensors[id(each)]
    )
    with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
        watch = Watch(tensors, keeper.elements)
    changed: dict[Phase, set[int]] = {}
    notes: list[str] = []
    _put_aside(keeper.tensors)
    inputs = made(model, inputs)
    measure, called = Measure(seen.modules, [*tensors, *tensors_in(inputs)]), None
    try:
        with measure.measuring():
            called = call(model, inputs)
    except RunError as error:
        if not is_without_hooks(error):
            raise
        keeper.put_back()
        _put_aside(keeper.tensors)
        notes.append(UNCOUNTED)
        measure = Measure(seen.modules, [*tensors, *tensors_in(inputs)])
        with measure.measuring(counts_kept=False):
            called = call(model, inputs)
    measure.let_go()
    first = _outputs(called.output) if _is_evaluated(seen) and not is_function(inputs) else None
    told = loss_of(called.output, loss)
    changed["forward"] = _changes(watch)
    starts = _starts(told)
    loose = loose_parameters(_backward(told, starts, keeper), seen.tensors, optimizer)
    changed["backward"] = _changes(watch)
    with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
        grads = arrived(tensors)
    ratios: dict[int, float] = {}
    if is_stepped and starts:
        _step(optimizer, lambda: _again(model, inputs, loss, keeper))
        members = {number for number in range(len(tensors)) if seen.snapshot.tensor(number).groups}
        with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
            changed["step"] = watch.changed()
            ratios = _ratios(tensors, watch, members | changed["step"])
    elif is_stepped:
        notes.append("no optimizer was stepped: the loss does not require grad")
    is_loss_finite = all(bool(each.isfinite()) for each in told.scalars)
    is_random = None
    if first is None:
        watch.ends()
    else:
        keeper.put_back()
        _put_aside(keeper.tensors)
        try:
            is_random = not _are_close(first, _outputs(call(model, inputs).output))
        except RunError as error:
            notes.append(f"whether it is random could not be told: the second time, {error.problem}")
    return Run(
        kind="step" if is_stepped else "backward",
        inputs=called.inputs,
        loss=told.words,
        is_loss_made=told.is_made,
        loss_requires_grad=bool(starts),
        is_loss_finite=is_loss_finite,
        flops=measure.flops,
        activation_bytes=measure.activation_bytes,
        input_bytes=called.input_bytes,
        uncounted=tuple(measure.uncounted.most_common()),
        is_random=is_random,
        notes=tuple(notes),
        seconds=0.0,
        loose=loose,
        tensors=tuple(_tensor_runs(seen, grads, changed, ratios)),
        modules=measure.modules(seen.snapshot.module_columns.paths),
    )


def _tensor_runs(
    seen: Seen, grads: dict[int, Arrived], changed: dict[Phase, set[int]], ratios: dict[int, float]
) -> Iterator[TensorRun]:
    snapshot = seen.snapshot
    for number in range(len(snapshot.tensor_columns.specs)):
        tensor, given = snapshot.tensor(number), grads.get(number)
        phases = tuple(phase for phase, numbers in changed.items() if number in numbers)
        ratio = ratios.get(number)
        if given is not None:
            yield TensorRun(number, True, given.grad, given.norm, given.rows, phases, ratio)  # noqa: FBT003
        elif tensor.is_leaf and tensor.requires_grad and tensor.spec.is_differentiable:
            # What backward itself steps, as a hook on each gradient does, has none any more.
            yield TensorRun(number, "backward" in phases, "none", None, None, phases, ratio)
        else:
            yield TensorRun(number, None, None, None, None, phases, ratio)


def _put_aside(tensors: Iterable[torch.Tensor]) -> None:
    """Takes gradients away, which the keeper has."""
    with torch._C.DisableTorchFunctionSubclass():
        for each in tensors:
            if each.is_leaf and each.grad is not None:
                each.grad = None


def _changes(watch: Watch) -> set[int]:
    with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
        found = watch.changed()
        watch.go_on()
    return found


def _starts(told: Loss) -> list[torch.Tensor]:
    """The scalars that backward can start from. Raises RunError for those without a value."""
    for each in told.scalars:
        if each.is_meta:
            raise RunError(
                f"{told.words} has no value: it is on the meta device", 'run="graph" needs none of its elements.'
            )
    return [each for each in told.scalars if each.requires_grad]


def _backward(told: Loss, starts: list[torch.Tensor], keeper: Keeper) -> list[torch.Tensor]:
    """Runs backward; the tensors that gradients arrive in, as far as autograd shows them."""
    reached = leaves(each.grad_fn for each in starts)
    if starts:
        # Gradients arrive also in what the loss alone holds.
        _put_aside(keeper.visit(reached))
        with running(f"backward from {told.words}"):
            torch.autograd.backward(starts)
    return reached


def _again(model: Any, inputs: Any, loss: Any, keeper: Keeper) -> torch.Tensor:
    """Forward and backward once more, for an optimizer that asks for it: the loss."""
    _put_aside(keeper.tensors)
    told = loss_of(call(model, inputs).output, loss)
    _backward(told, _starts(told), keeper)
    return torch.stack([each.detach().reshape(()) for each in told.scalars]).sum()


def _step(optimizer: Any, closure: Callable[[], torch.Tensor]) -> None:
    for each in handed_over(optimizer):
        step = each.optimizer.step
        with running(f"{type(each.optimizer).__name__}.step()"):
            closure_of = _closure_of(step)
            if closure_of is None or closure_of.default is not closure_of.empty:
                try:
                    step()
                    continue
                except AssertionError:  # as SAM's, which needs a closure that its signature does without
                    if closure_of is None:
                        raise
            step(closure)


def _closure_of(step: Any) -> inspect.Parameter | None:
    """The parameter by which a step is given what computes the loss anew, as that of LBFGS."""
    try:
        first = next(iter(inspect.signature(step).parameters.values()), None)
    except (TypeError, ValueError):
        return None
    return first if first is not None and first.name == "closure" else None


def _ratios(tensors: list[torch.Tensor], watch: Watch, numbers: set[int]) -> dict[int, float]:
    """What was added over what was there, both as Euclidean norms; of what was not all zeros, and is finite."""
    found = {}
    for number in sorted(numbers):
        tensor, before = tensors[number].detach(), watch.before(number)
        if before is None or not (tensor.is_floating_point() or tensor.is_complex()) or before.shape != tensor.shape:
            continue
        added, norm = _norms(tensor, before)
        if 0 < norm < torch.inf and added < torch.inf:
            found[number] = added / norm
    return found


def _norms(now: torch.Tensor, before: torch.Tensor) -> tuple[float, float]:
    """Euclidean norms of what was added, and of what was there."""
    pieces = [torch.split(each.reshape(-1), _PIECE) for each in (now, before)]
    difference = widened(pieces[0][0]).clone()
    added, norm = [], []
    for one, other in zip(*pieces, strict=True):
        added.append(norm_of(torch.sub(widened(one), widened(other), out=difference[: len(one)])))
        norm.append(norm_of(other))
    return math.hypot(*added), math.hypot(*norm)


def _is_evaluated(seen: Seen) -> bool:
    """Whether the roots are in eval mode; what in them is not may have been left behind."""
    return not any(seen.snapshot.modules[root].training for root in seen.snapshot.roots)


def _outputs(output: Any) -> list[torch.Tensor]:
    """Copies of the floating-point tensors of an output."""
    found = [each.detach() for each in tensors_in(output)]
    return [each.clone() for each in found if each.is_floating_point() or each.is_complex()]


def _are_close(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    """Whether outputs are equal but for the order in which a device adds up, which is not always the same."""
    if [each.shape for each in one] != [each.shape for each in other]:
        return False
    for first, second in zip(one, other, strict=True):
        finite = first[first.isfinite()].abs()
        near = torch.finfo(first.dtype).eps ** 0.75
        most = float(finite.max()) if finite.numel() else 0.0
        if not torch.allclose(first, second, rtol=near, atol=near * most, equal_nan=True):
            return False
    return True
