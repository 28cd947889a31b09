"""What peft keeps about its adapters beside their slots: what an adapter's file will hold, and which are merged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from paramscope.capture.classes import class_dict, is_a, is_text, mapping_items
from paramscope.capture.lookups import attribute_reader
from paramscope.capture.walk import Walk
from paramscope.snapshot import Oddity

_MODEL = "peft.peft_model.PeftModel"
_LAYER = "peft.tuners.tuners_utils.BaseTunerLayer"
_TABLES = ("embed_tokens", "lm_head")
"""Layers that peft takes for tables of tokens (`peft.utils.constants.EMBEDDING_LAYER_NAMES`)."""
_instance_dict = class_dict(nn.Module)["__dict__"].__get__


def add_adapters(walk: Walk) -> None:
    """Marks the models of peft, with what their adapters' files will hold, and layers whose adapters are merged."""
    models, layers = walk.facts.classes_named(_MODEL), walk.facts.classes_named(_LAYER)
    if not models and not layers:
        return
    for position, module in walk.held_modules():
        cls = id(type(module))
        if cls not in models and cls not in layers:
            continue
        state = _instance_dict(module)
        if type(state) is not dict or not is_text(state):
            continue
        path = walk.paths[position]
        if cls in models:
            for adapter, config in _configs(state):
                bias, tables = _saved_beside(config)
                walk.facts.oddities.append(Oddity(path, "adapter", adapter, bias))
                walk.facts.oddities.append(Oddity(path, "adapter-tables", adapter, tables))
        elif is_a(state.get("merged_adapters"), list) and list.__len__(state["merged_adapters"]):
            walk.facts.oddities.append(Oddity(path, "merged-adapter", "merged_adapters", None))


def _configs(state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name, config) of each adapter; the tuner keeps them, or the model itself where prompts are learned."""
    held = state.get("_peft_config")
    if held is None:
        children: Any = state.get("_modules")
        tuner = dict.get(children, "base_model") if is_a(children, dict) and is_text(children) else None
        of_tuner = _instance_dict(tuner) if is_a(tuner, nn.Module) else {}
        held = of_tuner.get("peft_config") if type(of_tuner) is dict and is_text(of_tuner) else None
    if is_a(held, dict):
        for name, config in mapping_items(held):
            if type(name) is str:
                yield name, config


def _saved_beside(config: Any) -> tuple[str, str]:
    """(which biases, which tables of tokens) the file of an adapter holds beside the adapter itself: `none`, `all` or
    those of its `layers`; `targeted`, `none`, or `perhaps`, where peft compares with a base model elsewhere."""
    steps = attribute_reader(type(config))
    held = {} if steps is None else dict(steps(config))
    bias = held.get("->bias")
    biases = "none"
    if type(bias) is str:
        biases = "all" if bias == "all" else "layers" if bias.endswith("_only") else "none"
    targets = held.get("->target_modules")
    if type(targets) is str:
        return biases, "perhaps"
    names = [name for name in _plainly(targets) if type(name) is str]
    if held.get("->trainable_token_indices") is None and any(name in _TABLES for name in names):
        return biases, "targeted"
    return biases, "perhaps" if type(held.get("->base_model_name_or_path")) is str else "none"


def _plainly(names: Any) -> Iterator[Any]:
    """What a plain list, tuple or set holds; nothing of anything else."""
    return iter(names) if type(names) in (list, tuple, set, frozenset) else iter(())
