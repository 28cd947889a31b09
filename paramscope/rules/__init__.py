"""Snapshot → findings: what is wrong with a model, or worth knowing. A file a rule, a folder a hundred."""
