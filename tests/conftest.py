"""What the tests of this folder have in common: pytest's own fixture for testing plugins."""

pytest_plugins = "pytester"
