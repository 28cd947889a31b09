"""What a torch.nn layer says of itself → the shapes that its parameters and buffers should have. No torch.

Read from torch 2.13; the names of settings are those of the layers' own attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Shape = tuple[int, ...]
Shapes = dict[str, Shape]
_Settings = Mapping[str, Any]


class Layer(NamedTuple):
    """One kind of torch.nn layer."""

    settings: tuple[str, ...]
    """The instance attributes that say what it is; two at least."""
    shapes: Callable[[_Settings], Shapes]
    """From their values to the shape under each name that the layer may hold."""
    unread: Callable[[_Settings, Shapes], dict[str, Any]] = lambda of, held: {}
    """What those settings that its forward never asks for would have to be, for these shapes to be right."""


def _linear(of: _Settings) -> Shapes:
    return {"weight": (of["out_features"], of["in_features"]), "bias": (of["out_features"],)}


def _bilinear(of: _Settings) -> Shapes:
    out = of["out_features"]
    return {"weight": (out, of["in1_features"], of["in2_features"]), "bias": (out,)}


def _convolution(of: _Settings) -> Shapes:
    into, out, groups = of["in_channels"], of["out_channels"], of["groups"]
    channels = (into, out // groups) if of["transposed"] else (out, into // groups)
    return {"weight": (*channels, *of["kernel_size"]), "bias": (out,)}


def _embedding(of: _Settings) -> Shapes:
    return {"weight": (of["num_embeddings"], of["embedding_dim"])}


def _per_feature(name: str) -> Callable[[_Settings], Shapes]:
    names = ("weight", "bias", "running_mean", "running_var")

    def shapes(of: _Settings) -> Shapes:
        shape: Shape = (of[name],)
        return dict.fromkeys(names, shape)

    return shapes


def _normalized(of: _Settings) -> Shapes:
    shape: Shape = of["normalized_shape"]
    return dict.fromkeys(("weight", "bias"), shape)


def _as_held(slot: str, *names: str) -> Callable[[_Settings, Shapes], dict[str, Any]]:
    """Settings that are the sizes of one tensor, in their order: the forward uses those that it really has."""

    def settings(of: _Settings, held: Shapes) -> dict[str, Any]:
        return dict(zip(names, held.get(slot, ()), strict=False))

    return settings


def _convolved(of: _Settings, held: Shapes) -> dict[str, Any]:
    if of["groups"] != 1:
        return {}  # it does ask for these, and which of them and the channels is wrong cannot be told
    first, second, *kernel = held["weight"]
    into, out = (first, second) if of["transposed"] else (second, first)
    return {"in_channels": into, "out_channels": out, "kernel_size": tuple(kernel)}


def _entering(of: _Settings, held: Shapes) -> dict[str, Any]:
    return {"input_size": held["weight_ih"][1]}


def _attended(of: _Settings, held: Shapes) -> dict[str, Any]:
    names = {"kdim": "k_proj_weight", "vdim": "v_proj_weight"}
    return {setting: held[name][1] for setting, name in names.items() if name in held}


# Rows of a gate's weights for each unit of the hidden state.
_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def _recurrent(of: _Settings) -> Shapes:
    hidden, projected = of["hidden_size"], of["proj_size"]
    rows, carried = _GATES[of["mode"]] * hidden, projected or hidden
    directions = ("", "_reverse") if of["bidirectional"] else ("",)
    shapes: Shapes = {}
    for layer in range(min(of["num_layers"], 10_000)):
        entering = of["input_size"] if layer == 0 else carried * len(directions)
        for direction in directions:
            end = f"_l{layer}{direction}"
            shapes["weight_ih" + end] = (rows, entering)
            shapes["weight_hh" + end] = (rows, carried)
            shapes["bias_ih" + end] = shapes["bias_hh" + end] = (rows,)
            if projected:
                shapes["weight_hr" + end] = (projected, hidden)
    return shapes


def _cell(gates: int) -> Callable[[_Settings], Shapes]:
    def shapes(of: _Settings) -> Shapes:
        rows = gates * of["hidden_size"]
        return {
            "weight_ih": (rows, of["input_size"]),
            "weight_hh": (rows, of["hidden_size"]),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }

    return shapes


def _attention(of: _Settings) -> Shapes:
    size = of["embed_dim"]
    shapes = {"in_proj_bias": (3 * size,), "bias_k": (1, 1, size), "bias_v": (1, 1, size)}
    if of["_qkv_same_embed_dim"]:
        return {**shapes, "in_proj_weight": (3 * size, size)}
    return {
        **shapes,
        "q_proj_weight": (size, size),
        "k_proj_weight": (size, of["kdim"]),
        "v_proj_weight": (size, of["vdim"]),
    }


_EMBEDDING = ("num_embeddings", "embedding_dim", "padding_idx", "max_norm", "sparse")
_looked_up = _as_held("weight", "num_embeddings", "embedding_dim")
_CELL = ("input_size", "hidden_size")
_BATCH_NORM = Layer(("num_features", "momentum", "track_running_stats"), _per_feature("num_features"))
_NORMALIZATION = "torch.nn.modules.normalization."
_ACTIVATION = "torch.nn.modules.activation."

LAYERS: dict[str, Layer] = {
    "torch.nn.modules.linear.Linear": Layer(
        ("in_features", "out_features"), _linear, _as_held("weight", "out_features", "in_features")
    ),
    "torch.nn.modules.linear.Bilinear": Layer(
        ("in1_features", "in2_features", "out_features"),
        _bilinear,
        _as_held("weight", "out_features", "in1_features", "in2_features"),
    ),
    "torch.nn.modules.conv._ConvNd": Layer(
        ("in_channels", "out_channels", "kernel_size", "groups", "transposed"), _convolution, _convolved
    ),
    "torch.nn.modules.sparse.Embedding": Layer(_EMBEDDING, _embedding, _looked_up),
    "torch.nn.modules.sparse.EmbeddingBag": Layer(_EMBEDDING, _embedding, _looked_up),
    # Batch norms and instance norms.
    "torch.nn.modules.batchnorm._NormBase": _BATCH_NORM,
    _NORMALIZATION + "GroupNorm": Layer(
        ("num_groups", "num_channels"), _per_feature("num_channels"), _as_held("weight", "num_channels")
    ),
    _NORMALIZATION + "LayerNorm": Layer(("normalized_shape", "elementwise_affine"), _normalized),
    _NORMALIZATION + "RMSNorm": Layer(("normalized_shape", "elementwise_affine"), _normalized),
    "torch.nn.modules.rnn.RNNBase": Layer(
        ("mode", "input_size", "hidden_size", "num_layers", "bidirectional", "proj_size"), _recurrent
    ),
    "torch.nn.modules.rnn.RNNCell": Layer(_CELL, _cell(1), _entering),
    "torch.nn.modules.rnn.LSTMCell": Layer(_CELL, _cell(4), _entering),
    "torch.nn.modules.rnn.GRUCell": Layer(_CELL, _cell(3), _entering),
    _ACTIVATION + "MultiheadAttention": Layer(
        ("embed_dim", "kdim", "vdim", "_qkv_same_embed_dim"), _attention, _attended
    ),
    _ACTIVATION + "PReLU": Layer(
        ("num_parameters", "init"),
        lambda of: {"weight": (of["num_parameters"],)},
        _as_held("weight", "num_parameters"),
    ),
}
"""By the qualified name of the class that defines the layer's settings."""


def declared_shapes(settings: Mapping[str, Any]) -> Shapes:
    """The shape for each name that a layer may hold; empty where its settings say nothing.

    settings: of one instance, with the `layer` that it is; other kinds of values than torch gives them, as a
    subclass may assign, say nothing.
    """
    layer = LAYERS.get(settings.get("layer", ""))
    if layer is None:
        return {}
    try:
        shapes = layer.shapes(settings)
    except (KeyError, TypeError, ZeroDivisionError):
        return {}
    return {name: shape for name, shape in shapes.items() if _is_shape(shape)}


def makes_sparse_gradients(name: str, settings: Mapping[str, Any]) -> bool:
    """Whether a layer with these settings gives what it holds under a name sparse gradients."""
    is_embedding = str(settings.get("layer")).startswith("torch.nn.modules.sparse.")
    return is_embedding and name == "weight" and settings.get("sparse") is True


def is_unread(settings: Mapping[str, Any], held: Mapping[str, Shape]) -> bool:
    """Whether shapes differ from what a layer declares in nothing that its forward asks the layer for, and fit one
    another: `Linear` multiplies with the weight that it has, whatever `in_features` says.

    settings: as for `declared_shapes`. held: by name, of all that the layer holds.
    """
    layer = LAYERS.get(settings.get("layer", ""))
    if layer is None:
        return False
    try:
        read = {**settings, **layer.unread(settings, dict(held))}
    except (KeyError, TypeError, ValueError, IndexError):
        return False
    declared = declared_shapes(read)
    return all(declared.get(name, shape) == shape for name, shape in held.items())


def _is_shape(shape: Any) -> bool:
    return type(shape) is tuple and all(type(size) is int and size >= 0 for size in shape)
