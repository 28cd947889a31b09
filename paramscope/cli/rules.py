"""`paramscope rules`: every rule there is, including those of plugins."""

from __future__ import annotations

import os
import sys

import click


@click.command("rules")
def command() -> None:
    """List all rules: code, name, severity, what each needs beside the model, and what it finds.

    When the output is not a terminal, each rule is one line, for grep.
    """
    from paramscope.cli._output import terminal_width
    from paramscope.cli._rule_text import listing
    from paramscope.render.terminal._layout import Screen
    from paramscope.rules.discovery import discover
    from paramscope.text import plain

    found = discover()
    is_screen = sys.stdout.isatty() or "COLUMNS" in os.environ
    screen = Screen(terminal_width(), color=False) if is_screen else None
    for line in listing(found.rules, screen):
        click.echo(line)
    for failed in found.failed:
        click.echo(f"warning: {plain(failed.code)}: {plain(failed.reason)}", err=True)
