"""`paramscope lock`: what models are, written down, for `check --locked` and pytest to hold them to."""

from __future__ import annotations

import click

from paramscope.cli import _completing as completing
from paramscope.cli._building import building_options
from paramscope.load.building import Building


@click.command("lock")
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True, shell_complete=completing.targets)
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
    from paramscope.cli._input import project
    from paramscope.cli._output import check_writable
    from paramscope.cli._waiting import one_of, waiting
    from paramscope.load.building import look, subject_of
    from paramscope.load.lock import locked, name_in, update
    from paramscope.wire.lock import NAME

    file = output or NAME
    check_writable(file)
    lock, here = Path(file).absolute(), Path.cwd()
    asked = [subject_of(each, building, project) for each in targets]
    models = {}
    for number, each in enumerate(asked, 1):
        with one_of(number, len(asked)):
            models[name_in(lock, each.name, here, building.arguments)] = locked(look(each, waiting=waiting))
    word = "written" if update(lock, models) else "as it was"
    click.echo(f"{file}: {word}, {text.plural(len(models), 'model')}", err=True)
