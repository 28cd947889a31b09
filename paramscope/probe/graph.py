"""A forward on fake tensors, which have sizes and no elements, and the autograd graph from the loss to its leaves."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.distributions import Distribution
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import is_lazy
from torch.utils.checkpoint import CheckpointFunction

from paramscope.capture import Seen
from paramscope.capture.handed import handed_over
from paramscope.errors import RunError
from paramscope.probe.measure import UNCOUNTED, Measure, tensors_among, tensors_in
from paramscope.probe.ways import Called, Loss, call, loss_of, made
from paramscope.snapshot import LooseParameter, Run, TensorRun


class _Roots(nn.Module):
    """The roots of a capture as children of one module, whose forward is a function of theirs."""

    def __init__(self, model: Any, roots: list[tuple[str, nn.Module]]) -> None:
        super().__init__()
        self.__dict__["_model"] = model
        for number, (_, root) in enumerate(roots):
            self._modules[str(number)] = root

    def forward(self, work: Any) -> Any:
        """What a function makes of the model."""
        return work(self.__dict__["_model"])


_FINITE = "forward asks whether numbers are finite: without elements, they are taken to be"
_SMALL = 1 << 20
"""Elements of what is computed although it could be told without elements."""


class _Telling:
    """Runs operations on fake tensors. What does not depend on what is learned, such as a mask of the inputs, a
    table of positions or one number that is drawn, is computed: forward may ask for it, or keep it for good. Nothing
    is written to what was there before. Where forward asks whether numbers are finite, they are."""

    def __init__(self) -> None:
        self.is_taken_finite = False
        """Whether it was asked."""
        self._made: dict[int, Any] = {}
        """Storages of what was computed, by their addresses, and held."""
        self._overwritten: dict[int, Any] = {}
        """Storages with elements that are not known any more."""

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result of one operation."""
        tensors = list(tensors_among((*args, *kwargs.values())))
        is_drawn = torch.Tag.nondeterministic_seeded in func.tags
        if any(type(each) is not FakeTensor for each in tensors):
            is_mutable = func._schema.is_mutable
            if not is_drawn and all(self._is_known(each, is_mutable=is_mutable) for each in tensors):
                return self._computed(func, args, kwargs)
            if is_mutable:
                self._forget(tensors)
        packet = func._overloadpacket
        if packet is _GROUPED:
            return _grouped(*args, **kwargs)
        if packet in _OF_ONE_DTYPE and len({each.dtype for each in tensors}) > 1:
            dtypes = " and ".join(dict.fromkeys(str(each.dtype) for each in tensors))
            raise RuntimeError(f"{packet.__name__} of {dtypes}: they must have the same dtype")
        result = func(*args, **kwargs)
        is_small = isinstance(result, torch.Tensor) and not result.is_meta and result.numel() <= _SMALL
        if not tensors and is_small and (not is_drawn or result.numel() == 1):
            return self._computed(func, args, kwargs)
        told = _if_finite(packet, args) if is_small else None
        if told is None:
            return result
        self.is_taken_finite = True
        return self._computed(torch.full, (result.shape, told), {"dtype": result.dtype, "device": result.device})

    def _computed(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with unset_fake_temporarily():
            result = func(*args, **kwargs)
        for each in tensors_in(result):
            storage = each.untyped_storage()
            self._made[storage._cdata] = storage
        return result

    def _is_known(self, tensor: torch.Tensor, *, is_mutable: bool) -> bool:
        is_real = not isinstance(tensor, FakeTensor) and not tensor.is_meta and not tensor.requires_grad
        if not is_real or tensor.numel() > _SMALL or tensor.layout is not torch.strided:
            return False
        address = tensor.untyped_storage()._cdata
        return address not in self._overwritten and (address in self._made or not is_mutable)

    def _forget(self, tensors: list[torch.Tensor]) -> None:
        for tensor in tensors:
            if not isinstance(tensor, FakeTensor):
                storage = tensor.untyped_storage()
                self._overwritten[storage._cdata] = storage


def _if_finite(packet: Any, args: tuple[Any, ...]) -> bool | None:
    """What an operation says of numbers that are all finite, if that is what it asks, as torch.isfinite does."""
    if packet in (_aten.isnan, _aten.isinf):
        return False
    if packet in (_aten.eq, _aten.ne) and args[0] is args[1]:
        return packet is _aten.eq
    return True if packet is _aten.ne and isinstance(args[1], float) and args[1] == math.inf else None


_aten = torch.ops.aten
_OF_ONE_DTYPE = {getattr(_aten, name) for name in ("mm", "addmm", "bmm", "baddbmm", "convolution", "mv", "dot")}
"""Operations that a device refuses for two dtypes, and fake kernels do not."""
_GROUPED = getattr(_aten, "_grouped_mm", None)


def _grouped(
    first: torch.Tensor, second: torch.Tensor, offs: torch.Tensor | None = None, *_: Any, out_dtype: Any = None
) -> torch.Tensor:
    """The result of products of matrices in groups: torch tells it for bfloat16 alone, and for some sizes."""
    rows, columns = first.shape[-2], second.shape[-1]
    is_stacked = first.ndim == second.ndim
    groups = [len(first) if first.ndim == 3 else len(offs if offs is not None else ())] if is_stacked else []
    return first.new_empty((*groups, rows, columns), dtype=out_dtype or first.dtype)


@contextmanager
def _opened(measure: Measure) -> Iterator[None]:
    """Within it, a reentrant checkpoint shows autograd what it runs, which it hides until backward: what it keeps
    is what it is given; DistributedDataParallel, which wants gradients with elements, is what it wraps; and a
    conversion that changes nothing, as `.to(device)` within forward, is none: torch refuses it of what is in use."""

    def run(function: Any, _: Any, *args: Any) -> Any:
        measure.keep(tensors_in(args))
        with torch.autograd.graph.saved_tensors_hooks(_unchanged, _unchanged):
            return function(*args)

    def swap(one: torch.Tensor, other: torch.Tensor) -> None:
        if (one.dtype, one.device, one.layout) != (other.dtype, other.device, other.layout):
            kept[2](one, other)  # type: ignore[no-untyped-call]

    kept = CheckpointFunction.apply, DistributedDataParallel.forward, torch.utils.swap_tensors
    CheckpointFunction.apply = run  # type: ignore[method-assign]
    DistributedDataParallel.forward = lambda wrapper, *args, **named: wrapper.module(*args, **named)  # type: ignore[method-assign]
    torch.utils.swap_tensors = swap
    try:
        yield
    finally:
        CheckpointFunction.apply, DistributedDataParallel.forward, torch.utils.swap_tensors = kept  # type: ignore[method-assign]


@contextmanager
def _unchecked_distributions() -> Iterator[None]:
    """Within it, distributions do not look at the elements of their arguments."""
    checks = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(checks)


def _unchanged(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


@contextmanager
def _quiet() -> Iterator[None]:
    """Within it, torch does not log what fails on fake tensors: we say it."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    was, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was


def run_graph(
    seen: Seen,
    model: Any,
    roots: list[tuple[str, nn.Module]],
    optimizer: Any,
    inputs: Any,
    loss: Any,
    *,
    counts_kept: bool = True,
) -> Run:
    """Runs forward on fake tensors, and walks the autograd graph. Nothing of the model is changed but what its
    forward assigns. counts_kept: whether what is kept for backward is counted."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    whole = _Roots(model, roots)
    telling = _Telling()
    measure = Measure(seen.modules, _tensors(seen), telling.run)
    with mode, _quiet(), _opened(measure), _unchecked_distributions():
        fakes, swapped = _fakes(whole, mode)
        measure.ignore(fakes.values())

        def work(live: Any) -> tuple[Called, Loss]:
            with unset_fake_temporarily():
                given = made(live, inputs)
            measure.ignore(tensors_in(given))
            with measure.measuring(counts_kept=counts_kept):
                called = call(live, given)
            return called, loss_of(called.output, loss)

        called, told = torch.func.functional_call(whole, swapped, (work,), tie_weights=False)
        reached_leaves = leaves(each.grad_fn for each in told.scalars)
    numbers = {id(fake): seen.tensors[real] for real, fake in fakes.items() if real in seen.tensors}
    numbers |= seen.tensors
    reached = {numbers.get(id(leaf), -1) for leaf in reached_leaves}
    paths = seen.snapshot.module_columns.paths
    opaque = [paths[at] for at in sorted(measure.opaque) if at >= 0]
    return Run(
        kind="graph",
        inputs=called.inputs,
        loss=told.words,
        is_loss_made=told.is_made,
        loss_requires_grad=any(each.requires_grad for each in told.scalars),
        is_loss_finite=None,
        flops=measure.flops,
        activation_bytes=measure.activation_bytes,
        input_bytes=called.input_bytes,
        uncounted=tuple(measure.uncounted.most_common()),
        is_random=None,
        notes=(
            *_opaque_notes(opaque),
            *((_FINITE,) if telling.is_taken_finite else ()),
            *(() if counts_kept else (UNCOUNTED,)),
        ),
        seconds=0.0,
        loose=loose_parameters(reached_leaves, numbers, optimizer),
        tensors=tuple(_tensor_runs(seen, reached, _held_by(seen, measure.opaque))),
        modules=measure.modules(paths),
    )


def _opaque_notes(opaque: list[str]) -> Iterator[str]:
    """What is said of modules that autograd does not show."""
    if opaque:
        more = f" and {len(opaque) - 1:,} more" if len(opaque) > 1 else ""
        yield (
            f"an autograd.Function runs {opaque[0] or 'the root'}{more}: what reaches parameters there, the graph "
            'does not show, but run="backward" does'
        )


def _held_by(seen: Seen, modules: Collection[int]) -> set[int]:
    """Numbers of the tensors that some modules hold, by their positions."""
    columns = seen.snapshot.slot_columns
    held = zip(columns.modules, columns.tensors, strict=True) if modules else ()
    return {tensor for module, tensor in held if seen.snapshot.module_columns.repeats.get(module, module) in modules}


def loose_parameters(
    reached: Iterable[torch.Tensor], numbers: Mapping[int, int], optimizer: Any
) -> tuple[LooseParameter, ...]:
    """Parameters that are reached and stand neither in the model nor in an optimizer.

    numbers: of the model's tensors, by id.
    """
    groups = [group for each in handed_over(optimizer) for group in each.found.groups]
    stepped = {id(member) for group in groups for member in group["params"]}
    found = [each for each in reached if isinstance(each, nn.Parameter) and id(each) not in numbers]
    return tuple(
        LooseParameter(tuple(each.shape), str(each.dtype).removeprefix("torch."))
        for each in found
        if id(each) not in stepped
    )


def _tensor_runs(seen: Seen, reached: set[int], unseen: set[int]) -> Iterator[TensorRun]:
    """unseen: numbers of tensors of which a graph cannot show whether they are reached."""
    snapshot = seen.snapshot
    specs, columns = snapshot.interned.specs, snapshot.tensor_columns
    for number in range(len(columns.specs)):
        tensor = snapshot.tensor(number)
        can = tensor.is_leaf and tensor.requires_grad and specs[columns.specs[number]].is_differentiable
        is_known = number in reached or number not in unseen
        yield TensorRun(number, number in reached if can and is_known else None, None, None, None, (), None)


def _tensors(seen: Seen) -> list[torch.Tensor]:
    return [each for each in seen.held if isinstance(each, torch.Tensor)]


def _fakes(whole: nn.Module, mode: FakeTensorMode) -> tuple[dict[int, Any], dict[str, Any]]:
    """(fake tensors by the id of the real one, the same by name) of all that is registered."""
    fakes: dict[int, Any] = {}
    swapped: dict[str, Any] = {}
    for named in (whole.named_parameters, whole.named_buffers):
        for name, tensor in named(remove_duplicate=False):
            if is_lazy(tensor):
                raise RunError(
                    f"{name.partition('.')[2]} has no size before the first forward: graph has nothing to go by",
                    'Run one batch through the model first; or run it for real, run="backward", --run backward.',
                )
            if id(tensor) not in fakes:
                fakes[id(tensor)] = _fake(tensor, mode)
            swapped[name] = fakes[id(tensor)]
    return fakes, swapped


_INTEGERS = {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}


def _fake(tensor: torch.Tensor, mode: FakeTensorMode) -> torch.Tensor:
    """A tensor of the same sizes without elements; what is on the meta device is as if it were on the CPU. Of a
    buffer of few integers, such as strides and paddings, a copy: not learned, and forward may ask for them."""
    is_plain = type(tensor) is torch.Tensor and tensor.layout is torch.strided
    if is_plain and tensor.dtype in _INTEGERS and tensor.numel() <= _SMALL and not tensor.is_meta:
        with unset_fake_temporarily():
            return tensor.clone()
    if tensor.is_meta or tensor.is_inference():
        device = "cpu" if tensor.is_meta else tensor.device
        fake = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=device)
    else:
        with torch._C.DisableTorchFunctionSubclass(), unset_fake_temporarily():
            plain = tensor.detach()
            if type(plain).__torch_dispatch__ is torch.Tensor.__torch_dispatch__:
                plain = plain.as_subclass(torch.Tensor)
        fake = mode.from_tensor(plain, static_shapes=True)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(fake, requires_grad=tensor.requires_grad)
    return fake.requires_grad_(tensor.requires_grad) if tensor.is_leaf and tensor.requires_grad else fake


def leaves(starts: Iterable[Any]) -> list[torch.Tensor]:
    """The tensors that gradients accumulate in, of all that lies behind some nodes of the autograd graph."""
    pending = [node for node in starts if node is not None]
    seen = set(pending)
    found = []
    while pending:
        node = pending.pop()
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            found.append(leaf)
        for behind, _ in node.next_functions:
            if behind is not None and behind not in seen:
                seen.add(behind)
                pending.append(behind)
    return found
