"""Words of PyTorch and Python that say what is done with a tensor."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from paramscope.source.syntax import is_false, own_name

TRANSFERS = frozenset({"cuda", "xpu", "npu", "hpu", "ipu", "mtia"})
"""Methods that bring a tensor to a device."""
CASTS = frozenset({"float", "double", "half", "bfloat16", "long", "int", "short", "bool", "char", "byte", "type"})
"""Methods that choose its dtype."""
MOVING = frozenset({"to", "cuda", "cpu", "half", "float", "double", "bfloat16", "xpu", "npu", "to_empty"})
"""Methods that move or cast all of a module."""
HANDING_BACK = MOVING | {"train", "eval", "type", "type_as", "requires_grad_", "apply", "share_memory", "detach"}
"""Methods that give back the module, or something like the tensor, that they are called on."""
DTYPES = frozenset(
    {
        *("float16", "float32", "float64", "bfloat16", "half", "float", "double", "complex64", "complex128"),
        *("int8", "int16", "int32", "int64", "uint8", "long", "int", "short", "bool"),
    }
)
"""Names of dtypes in the package."""
TO_HOST = frozenset({"cpu", "numpy", "tolist", "item", "__len__", "__bool__", "__iter__"})
"""Methods that give Python what it needs."""
SIZES = frozenset(
    {"shape", "size", "ndim", "dim", "numel", "nelement", "stride", "ndimension", "element_size", "__len__"}
)
"""What is asked of a tensor's shape, wherever it lies."""
ASPECTS = frozenset(
    {"is_cuda", "is_cpu", "requires_grad", "layout", "is_floating_point", "is_contiguous", "grad_fn", "is_leaf"}
)
"""What else may be asked of it."""
OUT_OF_GRAPH = frozenset({"detach", "data", "detach_"})
"""What leaves the graph behind."""
TRUTH = frozenset({"len", "int", "float", "bool", "range", "any", "all", "max", "min", "round", "complex", "str"})
"""Functions of Python that read numbers."""
ASKING = frozenset(
    {"isinstance", "issubclass", "type", "print", "id", "hasattr", "callable", "repr", "format", "hash"}
)
"""Functions of Python that read nothing."""
PASSING = frozenset({"list", "tuple", "sorted", "set", "iter", "reversed", "next", "abs", "frozenset", "deque"})
"""Functions of Python that hand on what is in a thing."""
FILLING = frozenset({"append", "appendleft", "extend", "extendleft", "insert", "add", "update", "setdefault", "put"})
"""Methods that put something into a container."""
ON_HOST = frozenset(
    {"random", "math", "numpy", "np", "scipy", "sklearn", "logging", "warnings", "statistics", "operator", "cmath"}
)
"""Packages that read numbers."""
OF_SAME_DEVICE = frozenset({"torch", "einops", "opt_einsum", "torch_scatter", "torchvision"})
"""Packages whose functions give what lies where their arguments do."""
STRICT = frozenset(
    {
        *("matmul", "mm", "bmm", "mv", "einsum", "linear", "bilinear", "addmm", "baddbmm", "addmv", "addbmm"),
        *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        *("scaled_dot_product_attention", "functional_call", "grid_sample", "layer_norm", "batch_norm", "dot"),
        *("tensordot", "__matmul__", "group_norm", "index_add", "index_add_", "scatter", "scatter_", "index_copy"),
    }
)
"""Operations that refuse two dtypes; others give the wider one."""
UNCAST = frozenset({"stft", "istft"})
"""Operations to which it is all the same whether their tensors have one dtype."""
BOUNDS = frozenset({"clamp", "clip", "clamp_", "clip_", "clamp_min", "clamp_max"})
LIKE = frozenset({"expand_as", "view_as", "reshape_as"})
OVERWRITING = frozenset(
    {"zero_", "fill_", "copy_", "detach_", "requires_grad_", "normal_", "uniform_", "bernoulli_", "resize_", "set_"}
)
"""Methods in place after which nothing is left of what was there."""
# Callees whose names say that they move what they are given.
MOVER = re.compile(
    r"_*(to|move|cast|send|bring|put|match|align|ensure|as|on)(_\w*)?|\w*_(to|like|as|on)(_\w*)?|\w*_?device\w*"
    r"|\w*[a-z](To|Like)[A-Z]?\w*",
)
NO_MOVER = re.compile(
    r"_*(to|as)_(dense|sparse|list|numpy|dict|tuple|padded\w*|strided|str|image|pil|np)\w*"
    r"|(as|on|to)_?\w*_?(step|end|start)\w*"
)


def is_without_graph(nodes: Iterable[ast.expr], *, around: bool) -> bool:
    """Whether autograd notes nothing under some decorators or contexts, of which the last one counts that says so.

    around: whether it notes nothing where these stand.
    """
    for node in nodes:
        match own_name(node), node:
            case ("no_grad" | "inference_mode", _):
                around = True
            case ("enable_grad", _):
                around = False
            case ("set_grad_enabled", ast.Call(args=args)):
                around = bool(args) and is_false(args[0])
    return around


def is_mover(name: str) -> bool:
    """Whether the name of a function says that it moves its argument: `to_device`, `move_to`, `as_tensor_like`."""
    return MOVER.fullmatch(name) is not None and NO_MOVER.fullmatch(name) is None
