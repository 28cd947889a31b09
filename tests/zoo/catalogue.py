"""Which model types transformers has, which classes stand for each, and the configurations that are no default."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import transformers
from torch import nn
from transformers.models.auto import configuration_auto, modeling_auto

CONFIGS: dict[str, str] = dict(vars(configuration_auto)["CONFIG_MAPPING_NAMES"])
"""Names of configuration classes by model type."""

# Heads that tie or add something come first; of one type, the first that exists stands for all.
_HEADS = (
    "CAUSAL_LM",
    "MASKED_LM",
    "SEQ_TO_SEQ_CAUSAL_LM",
    "IMAGE_TEXT_TO_TEXT",
    "SPEECH_SEQ_2_SEQ",
    "MULTIMODAL_LM",
    "PRETRAINING",
    "IMAGE_CLASSIFICATION",
    "OBJECT_DETECTION",
    "SEMANTIC_SEGMENTATION",
    "UNIVERSAL_SEGMENTATION",
    "CTC",
    "AUDIO_CLASSIFICATION",
)


class Job(NamedTuple):
    """One class to build and check."""

    type: str
    """The model type, as configurations name it."""
    cls: str
    """Name of the class; empty where no auto mapping has one, and the modeling file has to be asked."""

    def __str__(self) -> str:
        return f"{self.type}: {self.cls or 'class unknown'}"


def _mappings() -> dict[str, dict[str, tuple[str, ...]]]:
    """Class names by model type, by the name of the auto mapping; the base models' is `MODEL`, and first."""
    found: dict[str, dict[str, tuple[str, ...]]] = {"MODEL": {}}
    for name in dir(modeling_auto):
        if name.startswith("MODEL_") and name.endswith("MAPPING_NAMES"):
            task = name.removeprefix("MODEL_").removesuffix("MAPPING_NAMES").strip("_").removeprefix("FOR_")
            mapping = getattr(modeling_auto, name)
            classes = {kind: (cls,) if isinstance(cls, str) else tuple(cls) for kind, cls in mapping.items()}
            found[task or "MODEL"] = classes
    return found


def jobs(types: Iterable[str] | None = None, *, every_class: bool = False) -> list[Job]:
    """What there is to do: for each type its base model and one head, or every class that can be found.

    types: only these, all others being left out. Raises KeyError for a type that does not exist.
    """
    mappings = _mappings()
    heads = [*(head for head in _HEADS if head in mappings), *sorted(set(mappings) - set(_HEADS) - {"MODEL"})]
    found: list[Job] = []
    for kind in sorted(CONFIGS) if types is None else types:
        if kind not in CONFIGS:
            raise KeyError(kind)
        base = mappings["MODEL"].get(kind, ())
        others = [mappings[head][kind] for head in heads if kind in mappings[head]]
        if every_class:
            names = [*base, *(name for group in others for name in group)]
            names += [cls.__name__ for cls in classes_in_file(kind)]
        else:
            added = [name for group in others for name in group if name not in base]
            names = [*base[:1], *added[:1]]
        found += [Job(kind, name) for name in dict.fromkeys(names)] or [Job(kind, "")]
    return found


def class_of(job: Job) -> type | None:
    """The model class of a job, from the modeling file where transformers itself does not export it; None where
    no model is made from this configuration alone, which is then one of a part."""
    if job.cls and hasattr(transformers, job.cls):
        exported: type = getattr(transformers, job.cls)
        return exported
    return next((cls for cls in classes_in_file(job.type) if job.cls in ("", cls.__name__)), None)


def classes_in_file(kind: str) -> list[Any]:
    """Classes in the modeling file of a type that are models, and made from its configuration."""
    config = config_class(kind)
    try:
        modeling = importlib.import_module(config.__module__.replace(".configuration_", ".modeling_"))
    except ImportError:
        return []
    found: list[Any] = [thing for thing in vars(modeling).values() if isinstance(thing, type)]
    models = [cls for cls in found if issubclass(cls, transformers.PreTrainedModel)]
    # What has no forward is what models derive from.
    return [cls for cls in models if cls.config_class is config and cls.forward is not nn.Module.forward]


def config_class(kind: str) -> Any:
    """The configuration class of a model type."""
    return getattr(transformers, CONFIGS[kind])


def config_of(kind: str, cls: Any) -> Any:
    """The configuration that a class is built from: the default one of the model type, with what the table adds.

    A head of one part, such as the text decoder of a vision model, has the default configuration of that part.
    """
    config = config_class(kind)
    own = getattr(cls, "config_class", None)
    if isinstance(own, type) and not issubclass(config, own):
        return own()
    return config(**_SETTINGS.get(kind, {}))


_RESNET = {
    "use_timm_backbone": False,
    "backbone": None,
    "backbone_config": {"model_type": "resnet", "out_features": ["stage4"]},
}
_INDEXER = {
    "indexer_n_heads": 4,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 256,
    "indexer_budget": 1024,
    "indexer_compress_ratio": 4,
}

# By model type, what the default configuration leaves open, or takes from a library that is no dependency.
_SETTINGS: dict[str, dict[str, Any]] = {
    "autoformer": {"prediction_length": 24},
    "aya_vision": {"vision_config": {"model_type": "siglip_vision_model", "num_attention_heads": 16}},
    "chameleon": {"vocabulary_map": {"<image>": 8711}},
    "cohere_compass_text": {
        "rope_parameters": {
            kind: {"rope_type": "default", "rope_theta": 10_000.0} for kind in ("full_attention", "sliding_attention")
        }
    },
    "conditional_detr": _RESNET,
    "dab-detr": _RESNET,
    "dbrx": {"attn_config": {"rope_theta": 10_000.0, "kv_n_heads": 8}},
    "deepseek_ocr2": {"text_config": {"mlp_layer_types": ["dense"] + ["sparse"] * 39}},
    "deepseek_ocr2_text": {"mlp_layer_types": ["dense"] + ["sparse"] * 39},
    "deformable_detr": {
        **_RESNET,
        "backbone_config": {"model_type": "resnet", "out_features": ["stage2", "stage3", "stage4"]},
    },
    "detr": _RESNET,
    "diffusion_gemma": {"text_config": {"moe_intermediate_size": 704, "num_experts": 8, "top_k_experts": 2}},
    "diffusion_gemma_text": {"moe_intermediate_size": 704, "num_experts": 8, "top_k_experts": 2},
    "dots1": {"n_routed_experts": 8, "n_shared_experts": 1},
    "emu3": {"vocabulary_map": {"<image>": 151_643, "<|extra_200|>": 151_844}},
    "esm": {"vocab_size": 33, "pad_token_id": 1},
    "granite4_vision": {"deepstack_layer_map": [[-1, 0]], "downsample_rate": "4/8"},
    "hiera": {"decoder_hidden_size": 512, "decoder_depth": 8, "decoder_num_heads": 16},
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128},
    "hunyuan_vl": {"text_config": {"head_dim": 128}},
    "hunyuan_vl_text": {"head_dim": 128},
    "informer": {"prediction_length": 24},
    "lfm2_moe": {"layer_types": ["conv", "conv", "full_attention", "conv"] * 8},
    "ministral": {"head_dim": 128},
    "moonshine_streaming": {"num_key_value_heads": 8},
    "nemotron": {"num_key_value_heads": 8},
    "omdet-turbo": {
        **_RESNET,
        "backbone_config": {"model_type": "swin", "out_features": ["stage2", "stage3", "stage4"]},
    },
    "qwen4_exp": {"text_config": _INDEXER},
    "qwen4_exp_text": _INDEXER,
    "reformer": {"is_decoder": True},
    "table-transformer": _RESNET,
    "time_series_transformer": {"prediction_length": 24},
    "vitmatte": {"fusion_hidden_sizes": [256, 128, 64, 32]},
    "wav2vec2-bert": {"vocab_size": 32},
}
