"""DistributedDataParallel → the slots whose gradients it no longer reduces over the ranks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch.nn.parallel import DistributedDataParallel

from paramscope.capture.ranks import gradient_notes
from paramscope.loop.look import Live, Look
from paramscope.snapshot.path import is_at_or_below

_NOTED = "paramscope"


class Reducers:
    """The reducers of the roots that are wrapped."""

    def __init__(self, roots: Iterable[tuple[str, Any]], look: Look, live: Live) -> None:
        wrapped = [(path, root) for path, root in roots if issubclass(type(root), DistributedDataParallel)]
        self._noted = {path for path, root in wrapped if _note(_reduced(path, root, look, live))}

    def lost(self, roots: Iterable[tuple[str, Any]], look: Look, live: Live) -> tuple[str, ...]:
        """Trainable slots that are not, or are no longer, reduced."""
        found: list[str] = []
        for path, root in roots:
            if path in self._noted:
                reduced = _reduced(path, root, look, live)
                found += [slot for slot, _, is_known in reduced if not is_known]
                known = [(slot, tensor) for slot, tensor, is_known in reduced if is_known]
                if known and not _is_noted(known[0][1]):
                    found += [slot for slot, _ in known]
        return tuple(found)


def _reduced(path: str, root: Any, look: Look, live: Live) -> list[tuple[str, Any, bool]]:
    """(path, tensor, whether the reducer was built with it) of each trainable slot that it is to reduce."""
    state = vars(root)
    known = {id(each) for name in ("_module_parameters", "_delay_all_reduce_params") for each in state.get(name, ())}
    ignored = state.get("parameters_to_ignore", ())
    inner = f"{path}.module." if path else "module."
    return [
        (slot, tensor, id(tensor) in known)
        for slot, tensor, is_trainable in zip(look.slots, live.tensors, look.is_trainable, strict=True)
        if is_trainable and is_at_or_below(slot, path) and slot.removeprefix(inner) not in ignored
    ]


def _note(reduced: Sequence[tuple[str, Any, bool]]) -> bool:
    """Notes the node of every slot; whether it stays noted, as it does as long as the reducer keeps the node."""
    known = [tensor for _, tensor, is_known in reduced if is_known]
    for tensor in known:
        gradient_notes(tensor)[_NOTED] = True
    return bool(known) and all(map(_is_noted, known))


def _is_noted(tensor: Any) -> bool:
    return _NOTED in gradient_notes(tensor)
