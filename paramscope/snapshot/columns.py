"""Columns: what a snapshot is kept as, arrays of small integers that index interned values.

The garbage collector need not visit them, and a record costs nothing until it is asked for.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

from paramscope.snapshot.oddities import ClassRecord
from paramscope.snapshot.records import Membership, Part, Role, Setting, TensorSpec

# How a slot's owner holds it; the column stores the index.
HOLDS: tuple[tuple[Role, bool | None], ...] = (
    ("parameter", None),
    ("buffer", True),
    ("buffer", False),
    ("attribute", None),
)
PARAMETER, BUFFER, TRANSIENT_BUFFER, ATTRIBUTE = range(4)

# Bits of `TensorColumns.flags`.
REQUIRES_GRAD, IS_LEAF, HAS_GRAD, IS_PARAMETER = 1, 2, 4, 8
# Bits of `ModuleColumns.flags`.
REGISTERED, TRAINING = 1, 2


class ModuleColumns(NamedTuple):
    """One entry a module path."""

    paths: list[str]
    types: array[int]
    flags: bytearray
    repeats: dict[int, int]
    """Of a module that was met before, the position of its first path; absent for all others."""
    settings: array[int]
    """Index into the interned settings; 0 for none."""
    unknown: dict[int, tuple[tuple[str, str], ...]]
    """By position, for the modules that have any."""


class SlotColumns(NamedTuple):
    """One entry a slot."""

    modules: array[int]
    names: list[str]
    holds: bytearray
    tensors: array[int]


class TensorColumns(NamedTuple):
    """One entry a tensor."""

    specs: array[int]
    storages: array[int]
    offsets: array[int]
    flags: bytearray
    memberships: array[int]
    parts: dict[int, tuple[Part, ...]]
    """By number, for the tensors that are made of others."""


class StorageColumns(NamedTuple):
    """One entry a storage."""

    nbytes: array[int]
    devices: array[int]
    memories: dict[int, tuple[int, int]]
    """(first storage, first byte) of the storages that lie in one memory with others; absent for all others."""


class Interned(NamedTuple):
    """The values that columns point into."""

    types: tuple[str, ...]
    devices: tuple[str, ...]
    specs: tuple[TensorSpec, ...]
    memberships: tuple[tuple[Membership, ...], ...]
    settings: tuple[tuple[tuple[str, Setting], ...], ...]
    classes: tuple[ClassRecord, ...]
    """Of all modules, and all that these inherit from."""
