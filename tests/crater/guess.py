"""A class → small arguments that may construct it, and inputs that its forward may take."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

_BY_NAME: tuple[tuple[str, Any], ...] = (
    (r"num_classes|n_classes|num_labels|n_outputs|num_class|nclass", 10),
    (r"image_size|img_size|input_size|resolution|spatial_size|im_size", 32),
    (r"patch_size", 4),
    (r".*heads?$|num_head|nhead", 4),
    (r"depth|.*n_?layers?$|.*num_(layers|blocks|stages).*|n_blocks|repeats|iterations?|steps", 2),
    (r"(kernel|filter)_?(size|length)?|k_size|ksize|kernel|window_size", 3),
    (r"stride|dilation|groups|scale|scale_factor|down(sample|scale)_?(factor)?", 1),
    (r"padding", 1),
    (r"(num_)?(tokens|embeddings|vocab(ulary)?(_size)?)|num_tokens|codebook_size|n_?vocab|num_embed|n_codes?", 64),
    (r"in_chan(nel)?s|in_channels?|channels?|c_in|in_ch|inc?|n_chans", 16),
    (r"spatial_dims|ndim|n_dims?|dimension", 2),
    (
        r".*(dropout|drop|prob|rate|lr|eps|epsilon|margin|alpha|beta|gamma|sigma|tau|temperature|momentum|weight)$",
        0.1,
    ),
    (r"(sample_rate|sampling_rate|sr|fs|sfreq)", 16000),
    (r"n_?fft|fft_len(gth)?", 64),
    (
        r".*(length|len|size|dim|dims|features?|chan(nel)?s?|planes|hidden|width|units|filters|embd?|d_model|rank|embed)$",
        16,
    ),
    (r"^(dim|num|n|size|hidden|in|out|input|output|d|feat|emb).*", 16),
    (r"act(ivation)?(_layer|_fn|_func)?|nonlinearity", nn.ReLU),
    (r"norm(_layer)?", nn.BatchNorm2d),
)
_WIDTH = 16


def arguments(cls: Any, hints: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for what a class's `__init__` requires. Raises LookupError with the name of the first that has no guess."""
    found: dict[str, Any] = {}
    for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]:
        if parameter.name in hints:
            found[parameter.name] = made(hints[parameter.name])
        elif parameter.default is parameter.empty and parameter.kind in (
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        ):
            found[parameter.name] = value(parameter)
    return found


def made(hint: Any) -> Any:
    """A hint's value; what makes one is called for each, so that no two models share it."""
    return hint() if inspect.isfunction(hint) else hint


def value(parameter: inspect.Parameter) -> Any:
    """A guess for one argument."""
    annotation = parameter.annotation
    said = "" if annotation is parameter.empty else annotation if isinstance(annotation, str) else str(annotation)
    said = said.replace("<class '", "").replace("'>", "").replace("typing.", "")
    name = parameter.name.lower()
    if re.search(r"\b(nn\.|torch\.nn\.(modules\.module\.)?)?Module\b", said) and "Type" not in said:
        return nn.Linear(_WIDTH, _WIDTH)
    if re.match(r"(torch\.)?(FloatTensor|Tensor)\b", said):
        return torch.randn(_WIDTH, _WIDTH)
    if re.match(r"bool\b", said):
        return False
    if re.match(r"(Sequence|[Ll]ist|[Tt]uple|Iterable)\[(int|Union\[int)", said):
        return [_WIDTH, _WIDTH]
    if re.match(r"(Sequence|[Ll]ist|[Tt]uple)\[float", said):
        return [0.1, 0.1]
    if re.match(r"float\b", said):
        return next((v for pattern, v in _BY_NAME if re.fullmatch(pattern, name) and isinstance(v, float)), 0.5)
    if re.match(r"str\b|(Literal|Type|[Dd]ict|Mapping)\b", said):
        raise LookupError(f"{parameter.name}: {said}")
    if name in ("net", "model", "module", "layer", "fn", "encoder", "decoder", "backbone", "network", "base_model"):
        return nn.Linear(_WIDTH, _WIDTH)
    guess = next((v for pattern, v in _BY_NAME if re.fullmatch(pattern, name)), None)
    if guess is None:
        if re.match(r"int\b", said):
            return _WIDTH
        raise LookupError(parameter.name)
    return guess


def inputs(model: nn.Module) -> Iterator[tuple[Any, ...]]:
    """What a forward may take, as many tensors as it requires."""
    try:
        required = [
            parameter
            for parameter in inspect.signature(model.forward).parameters.values()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        return
    count = max(len(required), 1)
    if count > 3:
        return
    for shape in (
        (2, 16),
        (2, 8, 16),
        (2, 16, 32, 32),
        (2, 3, 32, 32),
        (2, 16, 32),
        (1, 16, 16, 16, 16),
        (2, 1, 4096),
    ):
        yield tuple(torch.rand(shape) for _ in range(count))
    yield tuple(torch.randint(0, 8, (2, 8)) for _ in range(count))
    if count == 2:
        yield torch.rand(2, 16), torch.randint(0, 2, (2,))
        yield torch.rand(2, 3, 32, 32), torch.rand(2)
