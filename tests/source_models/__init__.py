"""What the tests of `paramscope.source` have in common."""
