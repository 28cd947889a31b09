"""How transformers would shard a model for tensor parallelism: its `tp_plan`, which the instance keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from paramscope.capture.classes import is_text, mapping_items
from paramscope.capture.states import instance_dict
from paramscope.snapshot import TpStyle
from paramscope.snapshot.path import is_at_or_below


def tp_plans(models: Iterable[tuple[str, Any]]) -> Iterator[TpStyle]:
    """Each entry of the plans. What lies in a model that has one is in that plan already.

    models: (path, module) of those that may have one, those above before those below.
    """
    above: list[str] = []
    for path, module in models:
        state = instance_dict(module)
        plan = state.get("_tp_plan") if type(state) is dict and is_text(state) else None
        if type(plan) is not dict or not plan or any(is_at_or_below(path, each) for each in above):
            continue
        above.append(path)
        for pattern, style in mapping_items(plan):
            if type(pattern) is str and type(style) is str:
                yield TpStyle(path, pattern, style)
