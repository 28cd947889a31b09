"""`paramscope lock`: what models are, written down, for `check --locked` and pytest to hold them to."""

from __future__ import annotations

import click

from paramscope.cli._building import Building, building_options


@click.command("lock")
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@building_options
@click.option("-o", "--output", metavar="FILE", help="Another file than paramscope.lock.")
def command(targets: tuple[str, ...], output: str | None, building: Building) -> None:
    """Write down what TARGETs are: slots, shapes, dtypes, what trains, what is tied. To be committed: a pull request
    shows what changes in it, and `paramscope check --locked` and pytest's marker `locked=True` hold models to it.

    Models that the file holds already stay in it.

    \b
    paramscope lock model.py:build
    paramscope lock model.py:small model.py:large -o models.lock
    paramscope check model.py:build --locked
    paramscope check model.py:build --update-lock
    """
    from pathlib import Path

    from paramscope import text
    from paramscope.cli._input import look
    from paramscope.cli._output import check_writable
    from paramscope.load.lock import locked, name_in, update
    from paramscope.wire.lock import NAME

    file = output or NAME
    check_writable(file)
    lock, here = Path(file).absolute(), Path.cwd()
    models = {name_in(lock, each, here, building.arguments): locked(look(each, building)) for each in targets}
    word = "written" if update(lock, models) else "as it was"
    click.echo(f"{file}: {word}, {text.plural(len(models), 'model')}", err=True)
