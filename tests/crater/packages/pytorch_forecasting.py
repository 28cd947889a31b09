"""pytorch-forecasting: networks of time series, built by their layers."""

from __future__ import annotations

ROOTS = ("pytorch_forecasting.layers", "pytorch_forecasting.models", "pytorch_forecasting.metrics")
HINTS = {
    "input_size": 16,
    "hidden_size": 16,
    "output_size": 16,
    "d_model": 16,
    "n_heads": 2,
    "n_head": 2,
    "dropout": 0.1,
    "units": 16,
    "prediction_length": 4,
    "context_length": 8,
}
