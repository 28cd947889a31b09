"""What each module did in a forward: calls, what it returned, its operations, what it kept for backward."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensor, unset_fake_temporarily
from torch.autograd.function import FunctionCtx
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from paramscope import text
from paramscope.snapshot import ModuleRun

UNCOUNTED = "what is kept for backward was not counted: forward uses torch.func, which does not let anybody see it"
_aten = torch.ops.aten
_NESTED = 4
"""Containers within one another that an output is told to."""
_ITEMS = 6
"""Items of a container that are told."""


def described(value: Any, depth: int = 0) -> str:
    """`1×64×112×112 float32`; containers as they are written: `(1×12×768 float32, None)`, `logits: 1×10 float32`."""
    if isinstance(value, torch.Tensor):
        return f"{text.shape(tuple(value.shape))} {str(value.dtype).removeprefix('torch.')}"
    if depth < _NESTED:
        if named := named_items(value):
            parts = [f"{text.plain(str(name))}: {described(each, depth + 1)}" for name, each in named[:_ITEMS]]
            parts += ["…"] if len(named) > _ITEMS else []
            return ", ".join(parts) if depth == 0 else f"{{{', '.join(parts)}}}"
        if isinstance(value, (tuple, list)):
            told = [described(each, depth + 1) for each in value]
            if len(told) > 1 and len(set(told)) == 1:
                told = [f"{told[0]} ×{len(told)}"]
            told = told[:_ITEMS] + (["…"] if len(told) > _ITEMS else [])
            return f"({', '.join(told)})" if isinstance(value, tuple) else f"[{', '.join(told)}]"
    return "None" if value is None else type(value).__name__


def named_items(value: Any) -> list[tuple[Any, Any]]:
    """What a mapping, a dataclass or a named tuple holds by name, less what is None; nothing for all else."""
    if isinstance(value, Mapping):
        items = list(value.items())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = [(field.name, getattr(value, field.name, None)) for field in dataclasses.fields(value)]
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        items = list(zip(value._fields, value, strict=True))
    else:
        return []
    return [(name, each) for name, each in items if each is not None]


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in nested containers, each once."""
    pending, seen = [value], set()
    while pending:
        each = pending.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, torch.Tensor):
            yield each
        elif named := named_items(each):
            pending.extend(item for _, item in reversed(named))
        elif isinstance(each, (tuple, list)):
            pending.extend(reversed(each))


class Measure:
    """Counts while it is entered."""

    def __init__(self, positions: Mapping[int, int], own: Iterable[torch.Tensor], run: Run | None = None) -> None:
        """positions: of the modules that are told of, by id. own: tensors to be ignored. run: runs each operation; as
        it is, where there is none."""
        self._positions = positions
        self.run = run or _as_it_is
        self.flops = 0
        self.activation_bytes = 0
        self.uncounted: Counter[str] = Counter()
        self.opaque: set[int] = set()
        """Positions of modules that an `autograd.Function` ran: what reaches them, autograd does not show."""
        self._calls: Counter[int] = Counter()
        self._outputs: dict[int, str] = {}
        self._sums: dict[int, tuple[int, int]] = {}
        self._open: list[tuple[int, int, int]] = []
        """(id, operations, bytes) of each module whose forward has begun and not ended, as it began."""
        self._known: dict[int, Any] = {}
        """Storages that are counted, or not to be, by their addresses; held, so that no other one gets the same."""
        self.ignore(own)

    def ignore(self, tensors: Iterable[torch.Tensor]) -> None:
        """Some tensors are held anyway, and not kept for backward."""
        for tensor in tensors:
            self._know(tensor)

    def keep(self, tensors: Iterable[torch.Tensor]) -> None:
        """Some tensors are kept for backward."""
        self.activation_bytes += sum(map(self._know, tensors))

    def let_go(self) -> None:
        """Nothing more is counted: backward takes the memory of what it is done with."""
        self._known.clear()

    @contextmanager
    def measuring(self, *, counts_kept: bool = True) -> Iterator[None]:
        """Within it, everything is counted. counts_kept: also what is kept for backward."""
        with ExitStack() as stack:
            for handle in (
                register_module_forward_pre_hook(self._begin),
                register_module_forward_hook(self._end, always_call=True),
            ):
                stack.callback(handle.remove)
            if counts_kept:
                stack.enter_context(torch.autograd.graph.saved_tensors_hooks(self._pack, _unpacked))
            stack.enter_context(_Counting(self))
            yield

    def modules(self, paths: list[str]) -> tuple[ModuleRun, ...]:
        """What was seen of each module that was called. paths: of all modules."""
        found = []
        for position in sorted(self._calls):
            flops, kept = self._sums.get(position, (0, 0))
            calls, output = self._calls[position], self._outputs.get(position, "")
            found.append(ModuleRun(paths[position], calls, output, flops, kept))
        return tuple(found)

    def _begin(self, module: Any, _: Any) -> None:
        self._open.append((id(module), self.flops, self.activation_bytes))
        if not torch.is_grad_enabled() and _is_in_function():
            self.opaque.add(self._positions.get(id(module), -1))

    def _end(self, module: Any, _: Any, output: Any) -> None:
        # A forward that raised, and was caught, ends without a word.
        while self._open and self._open[-1][0] != id(module):
            self._open.pop()
        position = self._positions.get(id(module))
        if not self._open or position is None:
            return
        _, flops, kept = self._open.pop()
        self._calls[position] += 1
        self._outputs.setdefault(position, described(output))
        if all(each[0] != id(module) for each in self._open):  # what calls itself is counted once
            sums = self._sums.get(position, (0, 0))
            self._sums[position] = sums[0] + self.flops - flops, sums[1] + self.activation_bytes - kept

    def _pack(self, tensor: torch.Tensor) -> tuple[torch.Tensor, int]:
        self.keep([tensor])
        return tensor, _version(tensor)

    def _know(self, tensor: torch.Tensor) -> int:
        """Bytes of a tensor's storage where it was not known before, else 0."""
        try:
            with torch._C.DisableTorchFunctionSubclass():
                storage = tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):  # sparse, nested
            return 0
        address = storage._cdata
        if address in self._known:
            return 0
        self._known[address] = storage
        return int(storage.nbytes())


Run = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]
"""Runs an operation, of its positional and keyword arguments."""


def _as_it_is(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return func(*args, **kwargs)


def tensors_among(arguments: Iterable[Any]) -> Iterator[torch.Tensor]:
    """The tensors of an operation's arguments, which may be in lists."""
    for each in arguments:
        if isinstance(each, torch.Tensor):
            yield each
        elif isinstance(each, (list, tuple)):
            yield from tensors_among(each)


def _is_in_function() -> bool:
    """Whether the forward of an `autograd.Function` is running."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_name == "forward" and isinstance(frame.f_locals.get("ctx"), FunctionCtx):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _unpacked(packed: tuple[torch.Tensor, int]) -> torch.Tensor:
    """What was kept for backward. Raises what torch does, which leaves it to the hooks where there are some."""
    tensor, version = packed
    if _version(tensor) != version:
        raise RuntimeError(
            "one of the variables needed for gradient computation has been modified by an inplace operation: "
            f"[{described(tensor)}] is at version {_version(tensor)}; expected version {version} instead"
        )
    return tensor


def _version(tensor: torch.Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


_DEVICE = torch.ops.prim.device.default


class _Kind(NamedTuple):
    """What is known of an operation, whatever it is run on."""

    formula: Callable[..., int] | None
    """Of its floating-point operations."""
    is_whole: bool
    """Whether it is not made of others."""
    looks_up: bool
    """Whether it looks indices up in a table."""
    name: str
    """Empty for what computes nothing."""


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds the operations of everything that runs, by torch's own formulas."""

    def __init__(self, measure: Measure) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._measure = measure
        self._kinds: dict[Any, _Kind] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here, and what keeps the compiler out would take longer than all else."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is _DEVICE and type(args[0]) is FakeTensor:
            return args[0].fake_device  # asked for twice as often as anything is computed
        kwargs, measure = kwargs or {}, self._measure
        kind = self._kinds.get(func)
        if kind is None:
            if isinstance(func, torch._ops.HigherOrderOperator) or func.namespace == "prim":
                return func(*args, **kwargs)
            kind = self._kinds[func] = _kind_of(func)
        if kind.looks_up:
            _check_indices(*args[:2])
        if not kind.is_whole:
            # Under inference mode, what is made of others arrives whole.
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        result = measure.run(func, args, kwargs)
        if kind.formula is not None:
            measure.flops += kind.formula(*args, **kwargs, out_val=result)
        elif kind.name and _is_floating(result):
            measure.uncounted[kind.name] += 1
        return result


def _kind_of(func: Any) -> _Kind:
    packet = func._overloadpacket
    formula: Callable[..., int] | None = flop_registry.get(packet) or _MORE.get(packet)
    takes_tensors = any(str(argument.type) in ("Tensor", "Tensor[]") for argument in func._schema.arguments)
    computes = takes_tensors and not func.is_view and packet not in _MOVING
    is_composite = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
    name = packet._qualified_op_name.partition("::")[2] if computes else ""
    return _Kind(formula, formula is not None or not is_composite, packet in _LOOKING_UP, name)


def _is_floating(result: Any) -> bool:
    first = result[0] if isinstance(result, (tuple, list)) and result else result
    return isinstance(first, torch.Tensor) and (first.is_floating_point() or first.is_complex())


def _check_indices(table: torch.Tensor, indices: torch.Tensor) -> None:
    """Raises IndexError for an index that a table has no row for: torch does not say which, and a GPU can run nothing
    any more after it."""
    is_known = not isinstance(indices, FakeTensor) and not indices.is_meta
    if not is_known or indices.is_floating_point() or not indices.numel():
        return
    with unset_fake_temporarily():
        ends = [each.item() for each in indices.aminmax()]
    for index in ends:
        if not 0 <= index < len(table):
            raise IndexError(
                f"index {index} is out of range: the embedding has {len(table)} rows (0 to {len(table) - 1})"
            )


_LOOKING_UP = {_aten.embedding, _aten._embedding_bag, _aten._embedding_bag_forward_only}


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query.shape, key.shape, value.shape))  # type: ignore[no-untyped-call]


def _grouped(first: Any, second: Any, *_: Any, out_val: Any, **__: Any) -> int:
    """Of products of matrices in groups: of two matrices, each group has a part of the inner dimension."""
    groups = out_val.shape[0] if first.ndim == second.ndim == 2 else 1
    return int(2 * out_val.numel() * first.shape[-1] // groups)


def _recurrent(steps: Any, *weights: Any, **__: Any) -> int:
    """Of one layer of an RNN: both of its matrices, at every step of every sequence."""
    held = weights[:2] if isinstance(weights[0], torch.Tensor) else weights[0]
    matrices = sum(each.numel() for each in tree_leaves(held) if isinstance(each, torch.Tensor) and each.ndim == 2)
    return int(2 * matrices * steps.numel() // steps.shape[-1])


_MORE: dict[Any, Callable[..., int]] = {
    _aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    _aten.mkldnn_rnn_layer: _recurrent,
    _aten._cudnn_rnn: _recurrent,
    **({_aten._grouped_mm: _grouped} if hasattr(_aten, "_grouped_mm") else {}),
}
"""Formulas for what torch counts on other devices only, or not at all."""


_MOVING = {
    _aten.clone,
    _aten._to_copy,
    _aten.copy_,
    _aten.cat,
    _aten.stack,
    _aten.empty_like,
    _aten.zeros_like,
    _aten.ones_like,
    _aten.full_like,
    _aten.new_zeros,
    _aten.new_empty,
    _aten.new_ones,
    _aten.new_full,
    _aten.detach,
    _aten.embedding,
    _aten.index,
    _aten.index_select,
    _aten.gather,
    _aten.fill_,
    _aten.zero_,
    _aten.lift_fresh,
    _aten._unsafe_view,
    _aten.constant_pad_nd,
    _aten.repeat,
}
"""What copies elements, or makes them without computing: nothing that is counted as an operation anywhere."""
