"""`paramscope explain CODE`: what a rule finds, why it matters, an example, and what to write instead."""

from __future__ import annotations

import click

from paramscope.cli import _completing as completing


@click.command("explain")
@click.argument("code", shell_complete=completing.rule)
def command(code: str) -> None:
    """Print the documentation of a rule, by its code or its name.

    \b
    paramscope explain PS101
    paramscope explain module-in-container
    """
    from paramscope.cli._output import terminal_width, wants_color
    from paramscope.cli._rule_text import explained
    from paramscope.render.terminal._layout import Screen
    from paramscope.rules.choice import exactly
    from paramscope.rules.discovery import discover, own

    screen = Screen(min(terminal_width(), 100), wants_color(None))
    for line in explained(own(code) or exactly(discover().rules, code), screen):
        click.echo(line, color=screen.color)
