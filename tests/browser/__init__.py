"""Tests that take a real browser: `make test-browser`."""
