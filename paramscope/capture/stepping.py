"""Which optimizer class does the stepping, and which of its state torch keeps for each element of a parameter."""

from __future__ import annotations

from types import FunctionType
from typing import Any, NamedTuple

from paramscope.capture.classes import class_dict, class_mro, definer, is_a, is_tensor_class, qualified_name
from paramscope.capture.tensors import flags_of, whole_spec
from paramscope.snapshot import HAS_GRAD, REQUIRES_GRAD, StateRecord, TensorSpec

_ADAM = frozenset({"exp_avg", "exp_avg_sq", "max_exp_avg_sq"})
# Read from the `_init_group` of torch 2.4 to 2.13. What is left out is no copy of the parameter's shape: `step` and
# other numbers, the rows and columns of Adafactor, the flat vectors of LBFGS.
_PER_ELEMENT: dict[str, frozenset[str]] = {
    "torch.optim.adam.Adam": _ADAM,
    "torch.optim.adamw.AdamW": _ADAM,
    "torch.optim.nadam.NAdam": _ADAM,
    "torch.optim.radam.RAdam": _ADAM,
    "torch.optim.sparse_adam.SparseAdam": _ADAM,
    "torch.optim.adamax.Adamax": frozenset({"exp_avg", "exp_inf"}),
    "torch.optim.sgd.SGD": frozenset({"momentum_buffer"}),
    "torch.optim._muon.Muon": frozenset({"momentum_buffer"}),
    "torch.optim.adadelta.Adadelta": frozenset({"square_avg", "acc_delta"}),
    "torch.optim.adagrad.Adagrad": frozenset({"sum"}),
    "torch.optim.asgd.ASGD": frozenset({"ax"}),
    "torch.optim.rmsprop.RMSprop": frozenset({"square_avg", "momentum_buffer", "grad_avg"}),
    "torch.optim.rprop.Rprop": frozenset({"prev", "step_size"}),
}
_NONE: frozenset[str] = frozenset()
# What is moved towards the gradient by `lerp`, which refuses another dtype than its own; by real steps of torch 2.13,
# with and without `foreach`. SparseAdam, SGD, Adagrad, Adadelta, ASGD, Rprop and RMSprop (unless centered) go on.
_LERPED: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        (f"torch.optim.{name}" for name in ("adam.Adam", "adamw.AdamW", "nadam.NAdam", "radam.RAdam")),
        frozenset({"exp_avg"}),
    ),
    "torch.optim.adamax.Adamax": frozenset({"exp_avg"}),
    "torch.optim._adafactor.Adafactor": frozenset({"row_var", "col_var", "variance"}),
    "torch.optim._muon.Muon": frozenset({"momentum_buffer"}),
    "torch.optim.rmsprop.RMSprop": frozenset({"grad_avg"}),
}


def mro_names(cls: type) -> tuple[str, ...]:
    """A class and all that it inherits from, without `object`, by their qualified names."""
    return tuple(qualified_name(base) for base in class_mro(cls) if base is not object)


def steps_as(cls: type) -> str | None:
    """Qualified name of the class whose `step` the instances of an optimizer class run; None where it has none."""
    base = definer(cls, "step")
    if base is None:
        return None
    step = class_dict(base)["step"]
    # NOTE: torch puts a wrapped copy of an inherited `step` into the class of the first optimizer that is built; the
    # copy keeps the names of the original.
    if type(step) is FunctionType:
        module, name = step.__module__, step.__qualname__
        if type(module) is str and type(name) is str and name.endswith(".step"):
            return f"{module}.{name.removesuffix('.step')}"
    return qualified_name(base)


class Fitting(NamedTuple):
    """Names of the state that has to fit its parameter."""

    by_element: frozenset[str]
    """In shape and device: what is kept for each element."""
    by_dtype: frozenset[str]
    """In dtype: with another one the next step raises."""


def what_fits(steps: str | None, *, is_fused: bool) -> Fitting:
    """What a class of torch.optim keeps that has to fit. is_fused: a kernel reads all state in the parameter's
    dtype."""
    names = _PER_ELEMENT.get(steps or "", _NONE)
    return Fitting(names, names if is_fused else _LERPED.get(steps or "", _NONE))


def misfits_of(state: Any, fitting: Fitting, position: int, spec: TensorSpec, member: Any) -> list[StateRecord]:
    """What of the state of one parameter does not fit the parameter.

    spec: the parameter's. member: the parameter.
    """
    misfits: list[StateRecord] = []
    for name, value in dict.items(state) if is_a(state, dict) else ():
        if type(name) is not str or name not in fitting.by_element | fitting.by_dtype:
            continue
        if not is_tensor_class(type(value)):
            continue
        held = whole_spec(value)
        if (name in fitting.by_element and _is_misfit(held, spec)) or (
            name in fitting.by_dtype and _is_of_other_dtype(held, spec) and _is_stepped(member)
        ):
            misfits.append(StateRecord(position, name, held.shape or (), held.device, held.dtype))
    return misfits


def _is_of_other_dtype(held: TensorSpec, spec: TensorSpec) -> bool:
    # A tensor subclass may hold its elements in one dtype and give them out in another.
    plain = {"torch.Tensor", "torch.nn.parameter.Parameter"}
    return held.dtype != spec.dtype and bool(held.shape) and held.type in plain and spec.type in plain


def _is_stepped(member: Any) -> bool:
    """Whether a step looks at a member: what is frozen and holds no gradient is passed over."""
    return bool(flags_of(member) & (REQUIRES_GRAD | HAS_GRAD))


def _is_misfit(held: TensorSpec, spec: TensorSpec) -> bool:
    if held.shape is None or spec.shape is None:
        return False
    # One number for the whole tensor, or its elements in one row, are kept by those who know what they do.
    if held.shape != spec.shape and (not held.shape or held.shape == (spec.numel,)):
        return False
    return held.shape != spec.shape or (
        held.device != spec.device and held.device is not None and spec.device is not None
    )
