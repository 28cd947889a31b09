"""One class of transformers → a model, on the meta device or, if it must be, with memory."""

from __future__ import annotations

import io
import logging
import re
import warnings
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import torch
import transformers
from torch import nn
from transformers.initialization import no_init_weights

from zoo.catalogue import Job, class_of, config_of


class NotBuilt(Exception):
    """A class that cannot be built here; says why."""


def find(job: Job) -> type:
    """The class of a job. Raises NotBuilt."""
    transformers.logging.set_verbosity(logging.ERROR)
    try:
        cls = class_of(job)
    except Exception as error:  # noqa: BLE001  # importing it runs code of transformers
        raise NotBuilt(reason(error)) from None
    if cls is None:
        raise NotBuilt("no model is made from this configuration alone")
    return cls


def build(job: Job, cls: type, where: str) -> nn.Module:
    """A model of one class on `meta` or `cpu`. Raises NotBuilt."""
    said = io.StringIO()
    with warnings.catch_warnings(), redirect_stdout(said), redirect_stderr(said):
        warnings.simplefilter("ignore")
        try:
            config = config_of(job.type, cls)
        except Exception as error:  # noqa: BLE001  # any of hundreds of constructors
            raise NotBuilt(f"no default configuration: {reason(error)}") from None
        try:
            return _on_meta(cls, config) if where == "meta" else _with_memory(cls, config)
        except Exception as error:  # noqa: BLE001
            raise NotBuilt(reason(error)) from None


def _on_meta(cls: Any, config: Any) -> nn.Module:
    with torch.device("meta"):
        model: nn.Module = cls(config)
    return model


def _with_memory(cls: Any, config: Any) -> nn.Module:
    # What is never written takes no memory, so that a model of any usual size fits.
    with no_init_weights():
        model: nn.Module = cls(config)
    tie = getattr(model, "tie_weights", None)  # which the initialisation would have done
    if tie is not None:
        tie()
    return model


def reason(error: BaseException) -> str:
    """Why something failed, in one line of a hundred characters."""
    text = str(error)
    missing = re.search(r"requires? (?:the )?([\w.-]+) (?:library|package)|No module named '([\w.]+)'", text)
    if missing is None:
        missing = re.search(r"pip install ([\w.-]+)", text)
    if isinstance(error, ImportError) and missing is not None:
        return f"needs {next(name for name in missing.groups() if name)}"
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = re.sub(r"0x[0-9a-f]+", "0x…", line)
    return f"{type(error).__name__}: {line if len(line) <= 100 else line[:99] + '…'}".rstrip(": ")
