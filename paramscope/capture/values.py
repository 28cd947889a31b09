"""Tensors → facts about their values, where they were asked for: what is not finite, constant, or equal to another.

Only here are tensors' elements read, piece by piece; nothing is changed, and no class of the user's is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from paramscope.snapshot import ValueRecord

PIECE = 1 << 22
"""Elements that are looked at together."""
_PLAIN = frozenset(map(id, (torch.Tensor, nn.Parameter)))


def value_facts(tensors: Sequence[Any], paths: dict[int, str]) -> tuple[ValueRecord, ...]:
    """What is odd about the values of registered tensors.

    tensors: by number. paths: the first path of each that is to be looked at.
    """
    found: list[ValueRecord] = []
    alike: dict[Any, list[list[int]]] = {}
    with torch.no_grad():
        for number, path in paths.items():
            tensor = tensors[number]
            if id(type(tensor)) not in _PLAIN or not _is_readable(tensor):
                continue
            kinds = _kinds(tensor)
            found.extend(ValueRecord(path, kind, None) for kind in kinds)
            if "constant" not in kinds and tensor.numel() > 1:
                _sort(number, tensors, alike)
    groups = [group for of_digest in alike.values() for group in of_digest if len(group) > 1]
    for number, group in enumerate(sorted(groups)):
        found.extend(ValueRecord(paths[each], "equal", number) for each in group)
    return tuple(found)


def _is_readable(tensor: Any) -> bool:
    """Whether it has elements, in memory, that torch can compare."""
    return (
        tensor.layout is torch.strided
        and tensor.device.type != "meta"
        and tensor.numel() > 0
        and tensor.untyped_storage().nbytes() > 0
        and not tensor.is_quantized
        and "float8" not in str(tensor.dtype)
        and "float4" not in str(tensor.dtype)
    )


def _pieces(tensor: Any) -> Iterator[Any]:
    """A tensor in pieces of a bounded size."""
    stack = [tensor.detach()]
    while stack:
        piece = stack.pop()
        if piece.numel() > PIECE and piece.dim():
            at = max(range(piece.dim()), key=piece.size)
            half = piece.size(at) // 2
            stack += [piece.narrow(at, half, piece.size(at) - half), piece.narrow(at, 0, half)]
        else:
            yield piece


def _kinds(tensor: Any) -> set[Any]:
    kinds: set[Any] = set()
    first = tensor.detach()[(0,) * tensor.dim()]
    is_constant = tensor.numel() > 1
    for piece in _pieces(tensor):
        if tensor.is_floating_point() or tensor.is_complex():
            if bool(piece.isnan().any()):
                kinds.add("nan")
            if bool(piece.isinf().any()):
                kinds.add("inf")
        is_constant = is_constant and bool((piece == first).all())
    if is_constant:
        kinds.add("constant")
    return kinds


def _sort(number: int, tensors: Sequence[Any], alike: dict[Any, list[list[int]]]) -> None:
    """Puts a tensor to those that it equals bit by bit."""
    tensor = tensors[number].detach()
    few = tensor[tuple(slice(0, 4) for _ in range(tensor.dim()))]
    digest = (tuple(tensor.shape), tensor.dtype, str(tensor.device), tuple(few.flatten()[:16].tolist()))
    groups = alike.setdefault(digest, [])
    for group in groups:
        other = tensors[group[0]].detach()
        if _shares(other, tensor):
            return
        if all(torch.equal(a, b) for a, b in zip(_pieces(tensor), _pieces(other), strict=True)):
            if not any(_shares(tensors[each].detach(), tensor) for each in group):
                group.append(number)
            return
    groups.append([number])


def _shares(one: Any, other: Any) -> bool:
    return bool(one.untyped_storage()._cdata == other.untyped_storage()._cdata)
