"""Shards that torch takes for tensors of their own → the whole, whose shape is kept by what cut it.

FullyShardedDataParallel keeps it beside its flat parameters, DeepSpeed's ZeRO-3 with each parameter. A DTensor and a
ShardedTensor say it themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paramscope.capture.classes import is_tensor_class
from paramscope.capture.groups import items
from paramscope.capture.parts import tensor_dict
from paramscope.capture.quantized import Shape, to_shape
from paramscope.capture.register import TensorRegister
from paramscope.capture.walk import Walk


def add_wholes(walk: Walk) -> None:
    """Gives each shard the shape of its whole."""
    tensors = walk.tensors
    wholes = {}
    for tensor, shape, here in (*_flattened(walk.facts.flat_parameters), *_partitioned(tensors)):
        number = tensors.numbers.get(id(tensor))
        if number is not None and shape is not None:
            wholes[number] = shape, here
    if wholes:
        tensors.set_wholes(wholes)


def _flattened(flat_parameters: list[Any]) -> Iterator[tuple[Any, Shape | None, Any]]:
    """(tensor, shape of the whole, what lies here) of flat parameters, without what fills them up, and of the
    original ones where these were kept."""
    for flat in flat_parameters:
        held = tensor_dict(flat)
        numels, shapes, originals = (items(held.get(name)) for name in ("_numels", "_shapes", "_params"))
        if all(type(numel) is int for numel in numels):
            yield flat, (sum(numels),), flat
        for original, shape in zip(originals, shapes, strict=False):
            yield original, to_shape(shape), original


def _partitioned(tensors: TensorRegister) -> Iterator[tuple[Any, Shape | None, Any]]:
    """The same of what ZeRO-3 has cut: between its uses a parameter is empty."""
    empty = {number for number, spec in enumerate(tensors.interned_specs) if spec.numel == 0}
    for number, spec in enumerate(tensors.specs) if empty else ():
        if spec in empty and is_tensor_class(type(tensors.held[number])):
            held = tensor_dict(tensors.held[number])
            if is_tensor_class(type(held.get("ds_tensor"))):
                yield tensors.held[number], to_shape(held.get("ds_shape")), held["ds_tensor"]
