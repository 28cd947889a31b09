"""Formats that are read as documents."""
