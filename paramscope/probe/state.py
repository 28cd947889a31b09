"""The record of an optimizer → the state that its first step will leave: a fresh one of its class and options steps
tensors without elements.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from math import prod
from typing import Any

import torch
from torch.optim import optimizer as _optimizer
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from paramscope import text
from paramscope.analysis.cost import Answer, Member
from paramscope.capture.classes import qualified_name
from paramscope.capture.state_bytes import state_bytes
from paramscope.capture.tensors import torch_name
from paramscope.snapshot import OptimizerRecord, StateBytes

_REAL = 1 << 16
"""Elements of a tensor that really is made, where a step does not go without."""
_LBFGS = "torch.optim.lbfgs.LBFGS"
# How a step is computed, and not what it keeps: tensors without elements have no kernels.
_KERNELS = ("foreach", "fused", "capturable", "differentiable")


def first_state(optimizer: OptimizerRecord, members: Sequence[Collection[Member]]) -> Answer:
    """What the first step of an optimizer will leave for members of each of its groups.

    The class is looked for among those that are imported. Its code runs, on tensors of its own.
    """
    name, *bases = optimizer.inner or (optimizer.type, *optimizer.bases)
    if _LBFGS in (name, *bases):
        return _flat(optimizer, members)
    # By their ids: a class may inherit from two.
    known = list({id(cls): cls for cls in _below(torch.optim.Optimizer) if qualified_name(cls) == name}.values())
    if len(known) != 1:
        found = f"{len(known)} classes that are imported have" if known else "no class that is imported has"
        return Answer((), "unknown", f"{found} the name {name}")
    why: list[str] = []
    try:
        with _apart():
            try:
                states = _stepped(known[0], optimizer, members, "meta", why)
            except Exception:  # noqa: BLE001  what the class raises, on tensors that its kernels may not know
                why.clear()
                states = _stepped(known[0], optimizer, members, "cpu", why)
    except _OtherwiseError as error:
        return Answer((), "unknown", str(error))
    except Exception as error:  # noqa: BLE001  as above
        said = str(error).partition("\n")[0]
        return Answer((), "unknown", f"a fresh one could not step: {type(error).__name__}: {said}")
    return Answer(states, "estimated" if why else "measured", "; ".join(dict.fromkeys(why)))


class _OtherwiseError(Exception):
    """What is kept cannot be told for each parameter by what it is."""


def _below(cls: type) -> Iterator[type]:
    each: type
    for each in type.__subclasses__(cls):
        yield each
        yield from _below(each)


@contextmanager
def _apart() -> Iterator[None]:
    """Within it, nothing that is set out there has a say, and nothing is changed out there."""
    hooks: list[dict[int, Any]] = [_optimizer._global_optimizer_pre_hooks, _optimizer._global_optimizer_post_hooks]
    kept = [dict(each) for each in hooks]
    with (
        warnings.catch_warnings(),
        _disable_current_modes(),
        torch.random.fork_rng(devices=()),
        torch.device("cpu"),
    ):
        warnings.simplefilter("ignore")
        for each in hooks:
            each.clear()
        try:
            yield
        finally:
            for each, before in zip(hooks, kept, strict=True):
                each.update(before)


def _stepped(
    cls: type, optimizer: OptimizerRecord, members: Sequence[Collection[Member]], device: str, why: list[str]
) -> tuple[dict[Member, tuple[StateBytes, ...]], ...]:
    """The state of members after a step of a fresh optimizer. why: takes why that is no measure of the real one."""
    params = [
        {member: [_parameter(member, device, rows) for rows in (1, 2)] for member in of_group} for of_group in members
    ]
    groups = [
        {"params": [param for alike in of_group.values() for param in alike], **_as_given(group.options, why)}
        for group, of_group in zip(optimizer.groups, params, strict=True)
        if of_group
    ]
    taken = inspect.signature(cls).parameters
    defaults = {name: value for name, value in optimizer.defaults or () if name in taken}
    made: Any = cls(groups, **_as_given(defaults.items(), why))
    answering: Any = _Answering()  # type: ignore[no-untyped-call]
    closure = inspect.signature(made.step).parameters.get("closure")
    with answering:
        made.step(*(() if closure is None or closure.default is None else (lambda: torch.ones(()),)))
    if answering.reads:
        why.append("its step reads values, and was told 1 for each")
    if device == "cpu" and any(member.numel > _REAL for wanted in members for member in wanted):
        why.append(f"its step fails on tensors without elements, and was tried on {_REAL:,} elements of each")
    is_on_device = any(value for group in optimizer.groups for name, value in group.options if name in _KERNELS[1:3])
    if _keeps_elsewhere(made):
        raise _OtherwiseError("it keeps tensors elsewhere than in the state of its parameters")
    return tuple(
        {
            member: _placed(_kept(made.state, alike, why), member, alike[0], is_on_device=is_on_device)
            for member, alike in of_group.items()
        }
        for of_group in params
    )


def _keeps_elsewhere(made: Any) -> bool:
    """Whether an optimizer has tensors that are in no state of a parameter, and are none."""
    members = {id(param) for group in made.param_groups for param in group["params"]}
    own = [value for name, value in vars(made).items() if name not in ("state", "param_groups", "defaults")]
    other = [value for key, value in made.state.items() if id(key) not in members]
    more = [
        value
        for group in made.param_groups
        for name, value in group.items()
        if name != "params" and name not in made.defaults
    ]
    return bool(state_bytes([own, other, more], members))


def _kept(states: Mapping[Any, Any], alike: Sequence[Any], why: list[str]) -> tuple[StateBytes, ...]:
    """What is kept for one of two parameters that are alike."""
    first, second = (states.get(param) for param in alike)
    counted: set[int] = set()
    kept = state_bytes(first, counted)
    if state_bytes(second, set()) != kept:
        raise _OtherwiseError("the shape and dtype of a parameter do not tell what it keeps for it")
    own = state_bytes(second, counted)
    if own != kept:
        why.append("what it keeps for several parameters at once is left out")
    return own


def _parameter(member: Member, device: str, rows: int) -> torch.nn.Parameter:
    """One with a gradient; on the CPU, of a large one a piece. rows: of the gradient, where that is sparse."""
    shape = list(member.shape)
    while device == "cpu" and prod(shape) > _REAL:
        widest = shape.index(max(shape))
        shape[widest] = -(-shape[widest] // 2)
    dtype = getattr(torch, member.dtype)
    param = torch.nn.Parameter(torch.ones(shape, dtype=dtype, device=device))
    if member.has_sparse_gradient:
        at = torch.zeros((1, rows), dtype=torch.int64, device=device)
        values = torch.ones((rows, *shape[1:]), dtype=dtype, device=device)
        param.grad = torch.sparse_coo_tensor(at, values, shape, check_invariants=False)
    else:
        param.grad = torch.ones_like(param)
    return param


def _as_given(options: Collection[tuple[str, Any]], why: list[str]) -> dict[str, Any]:
    """Options as the class takes them, less those whose values were not captured. why: takes which these are."""
    given = {}
    for name, value in options:
        if name in _KERNELS:
            given[name] = value and False
        elif _is_lost(value):
            why.append(f"its {name} was {value}, and is left to the class")
        else:
            given[name] = float(value) if value in ("inf", "-inf", "nan") else value
    return given


def _is_lost(value: Any) -> bool:
    """Whether something stands for a value that capture could not keep."""
    if isinstance(value, tuple):
        return any(map(_is_lost, value))
    return isinstance(value, str) and value.startswith("<") and value.endswith(">")


class _Answering(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own __init_subclass__
    """Answers, where a tensor without elements is asked for its value."""

    reads = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_meta:
            self.reads += 1
            return False if args[0].dtype is torch.bool else 1.0 if args[0].dtype.is_floating_point else 1
        return func(*args, **(kwargs or {}))


def _placed(
    kept: tuple[StateBytes, ...], member: Member, param: torch.Tensor, *, is_on_device: bool
) -> tuple[StateBytes, ...]:
    """The state of what stood for a member, as that of the member."""
    share = member.numel / param.numel() if param.numel() else 1.0
    own = str(param.device)
    return tuple(
        each._replace(
            device=member.device if is_on_device or each.device == own else each.device,
            nbytes=round(each.nbytes * share),
        )
        for each in kept
    )


def _flat(optimizer: OptimizerRecord, members: Sequence[Collection[Member]]) -> Answer:
    """LBFGS: vectors over all its parameters, a direction, the last gradient, and two for each iteration that it
    remembers."""
    options = dict(optimizer.groups[0].options)
    history, most = options.get("history_size"), options.get("max_iter")
    if not isinstance(history, int) or not isinstance(most, int):
        return Answer((), "unknown", "its history_size and max_iter are not known")
    remembered = min(history, max(0, most - 1))
    # Of parameters of several dtypes, torch.cat makes one that holds all.
    dtype = reduce(torch.promote_types, (getattr(torch, member.dtype) for of_group in members for member in of_group))
    nbytes = (2 + 2 * remembered) * dtype.itemsize
    states: tuple[dict[Member, tuple[StateBytes, ...]], ...] = tuple(
        {member: (StateBytes(torch_name(dtype), member.device, nbytes * member.numel),) for member in of_group}
        for of_group in members
    )
    why = f"with a history of {text.plural(remembered, 'iteration')}, the most that its first step makes"
    return Answer(states, "estimated", why)
