"""The baseline B, and the calls of paramscope that are measured against it."""

from __future__ import annotations

from collections import deque

from torch import nn

from benchmarks.measure import Tool, Work
from paramscope import audit, capture, watch


def _walk(model: nn.Module) -> Work:
    def walk() -> None:
        deque(model.named_modules(remove_duplicate=False), maxlen=0)
        deque(model.named_parameters(remove_duplicate=False), maxlen=0)
        deque(model.named_buffers(remove_duplicate=False), maxlen=0)

    return walk


def _audit(model: nn.Module) -> Work:
    def run() -> object:
        report = audit(model)
        return report, report.totals

    return run


def _json(model: nn.Module) -> Work:
    report = audit(model)
    return report.to_json


def _mark(model: nn.Module) -> Work:
    watched = watch(model)
    return lambda: watched.mark("now")


BASELINE = Tool("B", "`named_modules`, `named_parameters` and `named_buffers`, exhausted", _walk)
CAPTURE = Tool("paramscope capture", "`capture(model)`", lambda model: lambda: capture(model))
AUDIT = Tool("paramscope audit", "`audit(model)` and its `totals`", _audit)
TABLE = Tool("paramscope table", "`str(audit(model))`: the folded table", lambda model: lambda: str(audit(model)))

JSON = Tool("paramscope JSON", "`report.to_json()`", _json)

MARK = Tool("paramscope mark", "`watch(model).mark(label)`", _mark)

OURS = (CAPTURE, AUDIT, TABLE, JSON, MARK)
