"""`python -m paramscope` is the command line."""

from paramscope.cli import run

run()
