"""Which objects lead away from a model, told from their class: they are not looked into.

What a library makes to drive, log or describe a training (optimizers, schedulers, loaders, trainers, loggers,
configs) knows the model, and much else, and holds nothing that the model itself is to train. What is built into a
model is looked into, whoever wrote it: `torch.distributions`, and what a user makes of a class of torch's.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from paramscope.capture.classes import class_mro, class_place, module_name, qualified_name, short_name
from paramscope.source.library import is_installed

LIBRARIES = frozenset(
    {
        "torch",
        "accelerate",
        "deepspeed",
        "lightning",
        "lightning_fabric",
        "lightning_utilities",
        "pytorch_lightning",
        "torchmetrics",
        "numpy",
        "pandas",
        "PIL",
        "tokenizers",
        "sentencepiece",
        "tiktoken",
        "wandb",
        "mlflow",
        "comet_ml",
        "tensorboard",
        "tensorboardX",
        "omegaconf",
        "hydra",
        "pytest",
        "_pytest",
    }
)
"""Packages whose objects are not looked into, nor those of classes that inherit from theirs, but for torch's."""
_BUILT_IN = "torch.distributions."
"""Of torch's own objects, those that are part of a model and hold what they are built with."""
_DRIVING = frozenset(
    {
        "torch.optim.optimizer.Optimizer",
        "torch.optim.lr_scheduler.LRScheduler",
        "torch.amp.grad_scaler.GradScaler",
        "torch.utils.data.dataloader.DataLoader",
        "torch.utils.hooks.RemovableHandle",
        "torch.utils.tensorboard.writer.SummaryWriter",
        "torch.autograd.function.FunctionCtx",
        "torch.autograd.profiler.profile",
        "torch.profiler.profiler._KinetoProfile",
        "torch.nn.utils.prune.BasePruningMethod",
        "torch.overrides.TorchFunctionMode",
        "torch.utils._python_dispatch.TorchDispatchMode",
        "torch.fx.graph.Graph",
        "torch.fx.node.Node",
        "torch.fx._symbolic_trace.Tracer",
        "torch.fx.interpreter.Interpreter",
        "logging.Filterer",
        "unittest.mock.Base",
    }
)
"""Classes that lead away from a model also where somebody else inherits from them."""
_DATA = frozenset({"torch.utils.data.dataset.Dataset", "torch.utils.data.sampler.Sampler"})
# A library's classes of these names are what they say, and so is what inherits from them; a user's may be anything.
_NAMES = ("Config", "Configuration", "Tokenizer", "TokenizerFast", "Trainer", "Logger", "Mock")


def is_outsider(cls: type, stores: frozenset[int]) -> bool:
    """Whether instances of a class are not looked into.

    stores: ids of classes that hold other things by their nature.
    """
    for base in class_mro(cls):
        if base is object or id(base) in stores:
            continue
        module = module_name(base)
        package = module.partition(".")[0]
        if qualified_name(base) in _DRIVING:
            return True
        if package in sys.stdlib_module_names:
            # A class of the user's may inherit from the standard library's: Enum, Protocol, ABC, Generic.
            if base is cls and _is_defined_there(cls):
                return True
        elif package == "torch":
            if base is cls and not module.startswith(_BUILT_IN):
                return True
        elif package in LIBRARIES or (short_name(base).endswith(_NAMES) and is_installed(class_place(base)[0])):
            return True
    return False


def holds_data(cls: type) -> bool:
    """Whether instances of a class are there to give samples, as a Dataset is."""
    return any(qualified_name(base) in _DATA for base in class_mro(cls))


def _is_defined_there(cls: type) -> bool:
    """Whether the module that a class names does hold it: a class of the user's that another class or a function
    such as `dataclasses.make_dataclass` makes may bear the name of the module that does so."""
    module: Any = sys.modules.get(module_name(cls))
    return issubclass(type(module), ModuleType) and vars(module).get(short_name(cls)) is cls
