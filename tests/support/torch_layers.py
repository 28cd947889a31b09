"""How to build one of every Module class that torch.nn exports, small, in each form that changes what it holds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Form = Callable[[type[Any]], nn.Module]


def form(*args: Any, **kwargs: Any) -> Form:
    """Builds a class with these arguments."""
    return lambda cls: cls(*args, **kwargs)


def encoder_layer() -> nn.Module:
    """What a TransformerEncoder is built from."""
    return nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)


def decoder_layer() -> nn.Module:
    """What a TransformerDecoder is built from."""
    return nn.TransformerDecoderLayer(4, 2, 8, batch_first=True)


def weights() -> torch.Tensor:
    """Class weights of a loss, which it keeps as a buffer."""
    return torch.ones(3)


def linear() -> nn.Module:
    """A child for the containers."""
    return nn.Linear(2, 3)


def parameter() -> nn.Parameter:
    """A member of the parameter containers."""
    return nn.Parameter(torch.zeros(2))


def repeated(*forms: Form, names: str) -> dict[str, tuple[Form, ...]]:
    """The same forms for several classes."""
    return dict.fromkeys(names.split(), forms)


CONVOLUTION = (form(2, 4, 3), form(2, 4, 3, bias=False, groups=2))
LAZY_CONVOLUTION = (form(4, 3), form(4, 3, bias=False))
BATCH_NORM = (
    form(3),
    form(3, affine=False),
    form(3, track_running_stats=False),
    form(3, affine=False, track_running_stats=False),
)
INSTANCE_NORM = (form(3), form(3, affine=True, track_running_stats=True))
RECURRENT = (
    form(2, 3),
    form(2, 3, num_layers=2, bidirectional=True),
    form(2, 3, bias=False),
)
WEIGHTED_LOSS = (form(), form(weight=weights()))

LAYERS: dict[str, tuple[Form, ...]] = {
    "Module": (form(),),
    "Linear": (form(2, 3), form(2, 3, bias=False), form(2, 3, dtype=torch.float16)),
    "Bilinear": (form(2, 3, 4), form(2, 3, 4, bias=False)),
    "LazyLinear": (form(3), form(3, bias=False)),
    "Embedding": (form(4, 3), form(4, 3, padding_idx=0), form(4, 3, sparse=True, max_norm=1.0)),
    "EmbeddingBag": (form(4, 3), form(4, 3, padding_idx=1)),
    "PReLU": (form(), form(3)),
    "LayerNorm": (form(3), form((2, 3), bias=False), form(3, elementwise_affine=False)),
    "RMSNorm": (form(3), form(3, elementwise_affine=False)),
    "GroupNorm": (form(1, 3), form(1, 3, affine=False)),
    "AdaptiveLogSoftmaxWithLoss": (form(32, 10, [2, 4]), form(32, 10, [2, 4], head_bias=True)),
    "MultiheadAttention": (
        form(4, 2),
        form(4, 2, kdim=3, vdim=5),
        form(4, 2, add_bias_kv=True, bias=False),
    ),
    "Transformer": (form(4, 2, 1, 1, 8, batch_first=True),),
    "TransformerEncoderLayer": (form(4, 2, 8), form(4, 2, 8, bias=False)),
    "TransformerDecoderLayer": (form(4, 2, 8),),
    "TransformerEncoder": (lambda cls: cls(encoder_layer(), 2, norm=nn.LayerNorm(4)),),
    "TransformerDecoder": (lambda cls: cls(decoder_layer(), 2),),
    "RNNBase": (form("LSTM", 2, 3), form("RNN_TANH", 2, 3)),
    "RNNCellBase": (lambda cls: cls(2, 3, bias=True, num_chunks=2),),
    "Sequential": (
        form(),
        lambda cls: cls(linear(), linear()),
        lambda cls: cls(OrderedDict(first=linear(), second=linear())),
        lambda cls: (lambda shared: cls(shared, nn.ReLU(), shared))(linear()),
    ),
    "ModuleList": (form(), lambda cls: cls([linear(), linear()])),
    "ModuleDict": (form(), lambda cls: cls({"a": linear(), "b": linear()})),
    "ParameterList": (
        form(),
        lambda cls: cls([parameter(), torch.ones(3), "text", None]),
        lambda cls: (lambda shared: cls([shared, shared]))(parameter()),
    ),
    "ParameterDict": (form(), lambda cls: cls({"a": parameter(), "b": torch.ones(3), "c": 3})),
    "Container": (lambda cls: cls(a=linear()),),
    "DataParallel": (lambda cls: cls(linear()),),
    "LinearCrossEntropyLoss": (form(2, 3), form(2, 3, bias=False)),
    **repeated(*CONVOLUTION, names="Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d"),
    **repeated(
        *LAZY_CONVOLUTION,
        names="LazyConv1d LazyConv2d LazyConv3d LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d",
    ),
    **repeated(*BATCH_NORM, names="BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm"),
    **repeated(form(), form(affine=False), names="LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d"),
    **repeated(*INSTANCE_NORM, names="InstanceNorm1d InstanceNorm2d InstanceNorm3d"),
    **repeated(
        form(),
        form(affine=True, track_running_stats=True),
        names="LazyInstanceNorm1d LazyInstanceNorm2d LazyInstanceNorm3d",
    ),
    **repeated(*RECURRENT, names="RNN GRU LSTM"),
    "LSTM": (*RECURRENT, form(2, 3, proj_size=1)),
    **repeated(form(2, 3), form(2, 3, bias=False), names="RNNCell GRUCell LSTMCell"),
    **repeated(
        *WEIGHTED_LOSS,
        names="BCELoss CrossEntropyLoss MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss NLLLoss2d",
    ),
    "BCEWithLogitsLoss": (form(), form(pos_weight=weights())),
    # From here on nothing holds a tensor.
    **repeated(
        form(),
        names="""
            AlphaDropout CELU CTCLoss CosineEmbeddingLoss CosineSimilarity Dropout Dropout1d Dropout2d Dropout3d ELU
            FeatureAlphaDropout Flatten GELU GLU GaussianNLLLoss Hardshrink Hardsigmoid Hardswish Hardtanh
            HingeEmbeddingLoss HuberLoss Identity KLDivLoss L1Loss LeakyReLU LogSigmoid MSELoss MarginRankingLoss
            Mish MultiLabelMarginLoss PairwiseDistance PoissonNLLLoss RReLU ReLU ReLU6 SELU SiLU Sigmoid SmoothL1Loss
            SoftMarginLoss Softmax2d Softplus Softshrink Softsign Tanh Tanhshrink TripletMarginLoss
            TripletMarginWithDistanceLoss
        """,
    ),
    **repeated(form(1), names="LogSoftmax Softmax Softmin ZeroPad1d ZeroPad2d ZeroPad3d"),
    **repeated(
        form(2),
        names="""
            AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d
            AdaptiveMaxPool3d AvgPool1d AvgPool2d AvgPool3d MaxPool1d MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d
            MaxUnpool3d ChannelShuffle CircularPad1d CircularPad2d CircularPad3d ReflectionPad1d ReflectionPad2d
            ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d CrossMapLRN2d LocalResponseNorm
            PixelShuffle PixelUnshuffle Unfold Upsample UpsamplingBilinear2d UpsamplingNearest2d
        """,
    ),
    **repeated(form(2, 2), names="LPPool1d LPPool2d LPPool3d Fold"),
    **repeated(form(1, 0.5), names="ConstantPad1d ConstantPad2d ConstantPad3d Threshold"),
    **repeated(form(2, output_size=1), names="FractionalMaxPool2d FractionalMaxPool3d"),
    "Unflatten": (form(1, (2, 2)),),
}


def exported() -> set[str]:
    """Names of all Module classes in torch.nn."""
    return {name for name, thing in vars(nn).items() if isinstance(thing, type) and issubclass(thing, nn.Module)}


def forms() -> list[tuple[str, int]]:
    """(class name, number of the form) of everything in the table that this torch has."""
    return [(name, i) for name in sorted(LAYERS) if hasattr(nn, name) for i in range(len(LAYERS[name]))]


def build(name: str, number: int) -> nn.Module:
    """One layer of the table."""
    return LAYERS[name][number](getattr(nn, name))
