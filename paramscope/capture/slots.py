"""The slots of one capture: columns that grow, of which the walk lists whole dicts and the search single tensors."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import repeat
from typing import Any

from paramscope.capture.classes import is_text
from paramscope.capture.lookups import plain_name
from paramscope.capture.register import TensorRegister
from paramscope.snapshot import BUFFER, PARAMETER, TRANSIENT_BUFFER, SlotColumns

AS_PARAMETER, _AS_BUFFER = bytes([PARAMETER]), bytes([BUFFER])


def buffer_holds(named: dict[str, Any], transient: set[str]) -> bytes:
    """How each of a module's buffers is held. transient: names of those that are not saved."""
    if not transient:
        return _AS_BUFFER * len(named)
    return bytes(TRANSIENT_BUFFER if name in transient else BUFFER for name in map(plain_name, named))


class SlotList:
    """Slots in the order they are met: of each its module, its name, how it is held and its tensor."""

    def __init__(self, tensors: TensorRegister) -> None:
        self._tensors = tensors
        self._modules = array("i")
        self._names: list[str] = []
        self._holds = bytearray()
        self._numbers = array("i")
        self._unnumbered: list[Any] = []
        self._is_sorted = True

    def __iter__(self) -> Iterator[tuple[int, str, int, int]]:
        """(module, name, how it is held, number of the tensor, -1 for none) of every slot."""
        return zip(self._modules, self._names, self._holds, self._numbers, strict=True)

    def add_all(self, module: int, named: dict[str, Any], holds: bytes) -> None:
        """Enters the tensors that a module registers, whose numbers `number_all` gives when all are known."""
        self._modules.extend(repeat(module, len(holds)))
        self._names += named
        self._holds += holds
        self._unnumbered += named.values()

    def number_all(self) -> None:
        """Numbers the tensors of what was entered by `add_all`; of one walk, before anything else is entered."""
        if not is_text(self._names):
            self._names = list(map(plain_name, self._names))
        self._numbers.extend(self._tensors.enter_all(self._unnumbered))
        self._unnumbered = []

    def add(self, module: int, name: str, hold: int, tensor: int) -> None:
        """Enters one slot, of any module that was met, with the number of its tensor."""
        self._is_sorted = False
        self._modules.append(module)
        self._names.append(name)
        self._holds.append(hold)
        self._numbers.append(tensor)

    def columns(self) -> SlotColumns:
        """One entry a slot, module by module."""
        columns = SlotColumns(self._modules, self._names, self._holds, self._numbers)
        if self._is_sorted:
            return columns
        order = sorted(range(len(self._modules)), key=self._modules.__getitem__)
        return SlotColumns(
            array("i", map(self._modules.__getitem__, order)),
            list(map(self._names.__getitem__, order)),
            bytearray(map(self._holds.__getitem__, order)),
            array("i", map(self._numbers.__getitem__, order)),
        )
