"""Tensors → facts about their values, where they were asked for: what is not finite, constant, or equal to another.

Only here are tensors' elements read, in pieces of a bounded size. Nothing is changed, and nothing of a class of the
user's runs: what is no plain tensor is left alone, and a note says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import nn

from paramscope.capture.classes import qualified_name
from paramscope.capture.tensors import LAZY, torch_name
from paramscope.snapshot import Note, ValueRecord

PIECE = 1 << 22
"""Elements that are looked at together."""
_PLAIN = frozenset(map(id, (torch.Tensor, nn.Parameter)))
_DEVICES = frozenset({"cpu", "cuda", "mps", "xpu"})
# Integers whose bits stand for those of an element of so many bytes.
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_DTYPES = frozenset(
    dtype
    for name, dtype in vars(torch).items()
    if type(dtype) is torch.dtype
    and re.fullmatch(r"bool|u?int(8|16|32|64)|b?float(16|32|64)|float8_\w+|complex\d+", name)
)
"""Those that torch can compare; others hold several elements in a byte."""
_SAMPLES = 4
"""Elements along each of two dimensions that are compared before whole tensors are."""

ValueKind = Literal["nan", "inf", "constant"]


def value_facts(
    tensors: Sequence[Any], paths: dict[int, str], progress: Callable[[int, int], None] | None = None
) -> tuple[tuple[ValueRecord, ...], tuple[Note, ...]]:
    """What is odd about the values of tensors; and which ones were not looked at, a note for each reason.

    tensors: by number. paths: the first path of each that is to be looked at. progress: is given, after each tensor,
    how many elements have been read, and how many there are to read.
    """
    found: list[ValueRecord] = []
    unread: dict[str, list[str]] = {}
    candidates: dict[Any, list[int]] = {}
    with torch.no_grad():
        reasons = {number: why_unread(tensors[number]) for number in paths}
        done, total = 0, sum(tensors[number].numel() for number, reason in reasons.items() if reason is None)
        for number, path in paths.items():
            tensor, reason = tensors[number], reasons[number]
            if reason is None:
                try:
                    kinds = _kinds(tensor)
                    found.extend(ValueRecord(path, kind, None) for kind in kinds)
                    if "constant" not in kinds and tensor.numel() > 1:
                        candidates.setdefault(_digest(tensor), []).append(number)
                    done += tensor.numel()
                    if progress is not None:
                        progress(done, total)
                except RuntimeError as error:  # a device that failed, a dtype that an operation lacks
                    reason = f"torch could not read them: {str(error).splitlines()[0]}"
            if reason is not None:
                unread.setdefault(reason, []).append(path)
        groups = [group for alike in candidates.values() if len(alike) > 1 for group in _equal(alike, tensors)]
    for number, group in enumerate(sorted(groups)):
        found.extend(ValueRecord(paths[each], "equal", number) for each in group)
    return tuple(found), tuple(unread_notes(unread))


def unread_notes(unread: dict[str, list[str]]) -> list[Note]:
    """A note for each reason why tensors were not looked at. unread: by reason, their paths."""
    return [_note(reason, held) for reason, held in unread.items()]


def _note(reason: str, paths: list[str]) -> Note:
    others = f", nor those of {len(paths) - 1:,} more" if len(paths) > 1 else ""
    return Note(paths[0], "values", f"its values were not looked at{others}: {reason}")


def why_unread(tensor: Any) -> str | None:
    """Why the elements of a tensor cannot be read; None where they can."""
    cls = type(tensor)
    if issubclass(cls, LAZY):
        return "it has none before the first forward"
    if id(cls) not in _PLAIN:
        return f"a {qualified_name(cls)} holds its elements in its own way"
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        return "a transform of torch.func is at work"
    if tensor.is_nested or tensor.layout is not torch.strided:
        return "it is nested or sparse"
    if tensor.device.type not in _DEVICES:
        return f"it is on the {tensor.device.type} device"
    if tensor.dtype not in _DTYPES:
        return f"its dtype is {torch_name(tensor.dtype)}"
    if tensor.is_conj() or tensor.is_neg():
        return "it is a conjugate or negative view"
    if not tensor.numel():
        return None
    extent = _extent(tensor)
    if (tensor.storage_offset() + extent) * tensor.dtype.itemsize > tensor.untyped_storage().nbytes():
        return "its memory was freed"
    if distinct(tensor).numel() > extent:
        return "its elements overlap"
    return None


def _extent(tensor: Any) -> int:
    """Elements from the first to the last one in memory."""
    steps: list[int] = [(size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True)]
    return 1 + sum(steps)


def distinct(tensor: Any) -> Any:
    """A tensor without the dimensions along which it repeats itself."""
    tensor = tensor.detach()
    for at, step in enumerate(tensor.stride()):
        if step == 0 and tensor.size(at) > 1:
            tensor = tensor.narrow(at, 0, 1)
    return tensor


def pieces(tensor: Any) -> Iterator[Any]:
    """Views of a tensor, of a bounded size, that are all of it."""
    stack = [tensor]
    while stack:
        piece = stack.pop()
        if piece.numel() > PIECE:
            at = max(range(piece.dim()), key=piece.size)
            half = piece.size(at) // 2
            stack += [piece.narrow(at, half, piece.size(at) - half), piece.narrow(at, 0, half)]
        else:
            yield piece


def _kinds(tensor: Any) -> list[ValueKind]:
    if not tensor.numel():
        return []
    is_single = tensor.numel() == 1
    tensor = distinct(tensor)
    if tensor.is_complex():
        return _complex_kinds(torch.view_as_real(tensor), is_single=is_single)
    if not tensor.is_floating_point():
        first = tensor[(0,) * tensor.dim()]
        is_constant = not is_single and all(bool((piece == first).all()) for piece in pieces(tensor))
        return ["constant"] if is_constant else []
    return _float_kinds(tensor, is_single=is_single)


def _complex_kinds(pairs: Any, *, is_single: bool) -> list[ValueKind]:
    real, imaginary = (_float_kinds(pairs.select(-1, at), is_single=is_single) for at in (0, 1))
    kinds: list[ValueKind] = [kind for kind in ("nan", "inf") if kind in real or kind in imaginary]
    return [*kinds, "constant"] if "constant" in real and "constant" in imaginary else kinds


def _float_kinds(tensor: Any, *, is_single: bool) -> list[ValueKind]:
    kinds: list[ValueKind] = []
    bounds = []
    for piece in pieces(tensor):
        if piece.dtype.itemsize == 1:
            piece = piece.float()
        least, most = (bound.item() for bound in torch.aminmax(piece))
        if least != least:  # NaN is the least and the most of what holds any
            kinds.append("nan")
            if bool(piece.isinf().any()):
                kinds.append("inf")
        elif least in _INFINITE or most in _INFINITE:
            kinds.append("inf")
        bounds += [least, most]
    found: list[ValueKind] = [kind for kind in ("nan", "inf") if kind in kinds]
    is_constant = not is_single and "nan" not in found and min(bounds) == max(bounds)
    return [*found, "constant"] if is_constant else found


_INFINITE = (float("inf"), -float("inf"))


def _digest(tensor: Any) -> Any:
    """What equal tensors have in common, and others hardly: shape, dtype, device and the bits of a few elements."""
    wide = sorted(range(tensor.dim()), key=tensor.size)[-2:]
    steps = (-(-size // _SAMPLES) if at in wide else max(1, size) for at, size in enumerate(tensor.shape))
    few = bits(tensor.detach()[tuple(slice(None, None, step) for step in steps)])
    return tuple(tensor.shape), tensor.dtype, str(tensor.device), tuple(few.flatten().tolist())


def bits(tensor: Any) -> Any:
    """The same elements as integers: NaN equals itself there, and zero is not minus zero."""
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return tensor.view(_BITS[tensor.dtype.itemsize])


def _equal(numbers: list[int], tensors: Sequence[Any]) -> Iterator[list[int]]:
    """Of tensors with one digest, those that are equal bit by bit."""
    groups: list[list[int]] = []
    for number in numbers:
        own = bits(distinct(tensors[number]))
        for group in groups:
            other = bits(distinct(tensors[group[0]]))
            if own.shape == other.shape and _is_equal(own, other):
                group.append(number)
                break
        else:
            groups.append([number])
    return (group for group in groups if len(group) > 1)


def _is_equal(one: Any, other: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(pieces(one), pieces(other), strict=True))
