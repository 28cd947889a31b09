"""What paramscope costs, beside a bare walk of the model and beside its neighbours (`python -m benchmarks`)."""
