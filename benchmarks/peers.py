"""The neighbours that tell some of what paramscope tells, each called as its users call it."""

from __future__ import annotations

from torch import nn

from benchmarks.measure import Tool, Work


def _accelerate(model: nn.Module) -> Work:
    from accelerate.utils import find_tied_parameters

    return lambda: find_tied_parameters(model)


def _safetensors_shared(model: nn.Module) -> Work:
    from safetensors.torch import _find_shared_tensors

    return lambda: _find_shared_tensors(model.state_dict())


def _safetensors_duplicates(model: nn.Module) -> Work:
    from safetensors.torch import _remove_duplicate_names

    return lambda: _remove_duplicate_names(model.state_dict())


def _lightning(model: nn.Module) -> Work:
    from lightning.pytorch import LightningModule
    from lightning.pytorch.utilities.model_summary import ModelSummary

    wrapper = LightningModule()
    wrapper.model = model
    return lambda: str(ModelSummary(wrapper, max_depth=-1))


def _torchinfo(model: nn.Module) -> Work:
    import torchinfo

    return lambda: str(torchinfo.summary(model, verbose=0))


def _fvcore(model: nn.Module) -> Work:
    from fvcore.nn import parameter_count_table

    return lambda: parameter_count_table(model)


def _peft_layers(model: nn.Module) -> Work:
    from peft import get_layer_status

    return lambda: get_layer_status(model)


def _peft_model(model: nn.Module) -> Work:
    from peft import get_model_status

    return lambda: get_model_status(model)


PEERS = (
    Tool("accelerate", "`find_tied_parameters(model)`: ties only", _accelerate),
    Tool("safetensors shared", "`_find_shared_tensors(model.state_dict())`", _safetensors_shared),
    Tool("safetensors duplicates", "`_remove_duplicate_names(model.state_dict())`", _safetensors_duplicates),
    Tool("Lightning ModelSummary", "`str(ModelSummary(model, max_depth=-1))`", _lightning),
    Tool("torchinfo", "`str(summary(model, verbose=0))`: without input, three levels deep", _torchinfo),
    Tool("fvcore", "`parameter_count_table(model)`: three levels deep", _fvcore),
)
# These speak of adapters only.
PEFT_PEERS = (
    Tool("peft layers", "`get_layer_status(model)`", _peft_layers),
    Tool("peft model", "`get_model_status(model)`", _peft_model),
)
