"""`paramscope diff`: what changed from one model, saved report or revision to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from paramscope.cli import _completing as completing
from paramscope.cli._building import building_options
from paramscope.errors import ParamscopeError
from paramscope.load.building import NOTHING, Building

if TYPE_CHECKING:
    from paramscope.report.face import Report

_ENDINGS = {"md": "markdown", "json": "json", "html": "html", "htm": "html"}
_REVISIONS = "revisions"


class SidesError(ParamscopeError):
    """Not two things to compare."""


class _Diff(click.Command):
    """What stands behind `--` is the TARGET whose revisions are compared."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            args, ctx.meta[_REVISIONS] = args[:at], args[at + 1 :]
        return super().parse_args(ctx, args)


@click.command("diff", cls=_Diff)
@click.argument("sides", metavar="A B", nargs=-1, shell_complete=completing.targets)
@building_options
@click.option(
    "-f",
    "--format",
    "format_",
    metavar="FORMAT",
    help="text (the default), markdown, json or html.",
    shell_complete=completing.diff_formats,
)
@click.option("-o", "--output", metavar="FILE", help="Write to a file; .md, .json and .html imply the format.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 where anything differs.")
@click.pass_context
def command(
    context: click.Context,
    sides: tuple[str, ...],
    format_: str | None,
    output: str | None,
    exit_code: bool,  # noqa: FBT001  # click passes by keyword
    building: Building,
) -> int:
    """Show what changed from A to B: each a TARGET or a saved report; or two revisions of one TARGET, or one and the
    working tree. Exits 0, with --exit-code 1 where anything differs, and 2 if a target or an option is wrong.

    \b
    paramscope diff model.py:small model.py:large
    paramscope diff yesterday.json model.py:build -O train.py:make_optimizer
    paramscope diff HEAD~1 HEAD -- model.py:build
    paramscope diff main -f markdown -- model.py:build
    """
    from paramscope.api import diff
    from paramscope.cli._output import check_writable, ending, terminal_width, wants_color, write
    from paramscope.cli._waiting import waiting
    from paramscope.render._difference import renderer

    format_ = format_ or _ENDINGS.get(ending(output), "text")
    renderer(format_)  # to build two models takes longer than finding out that there is no such format
    check_writable(output)
    targets: list[str] | None = context.meta.get(_REVISIONS)
    before, after = _revisions(sides, targets, building) if targets is not None else _targets(sides, building)
    with waiting("comparing"):
        found = diff(before, after)
    options = {"width": terminal_width(), "color": wants_color(output)} if format_ == "text" else {}
    write(found.render(format_, **options), output)
    return int(exit_code and bool(found))


def _targets(sides: tuple[str, ...], building: Building) -> list[Report]:
    """The reports on two targets; options say how to build those that are no saved reports."""
    from paramscope.cli._input import load_report

    if len(sides) != 2:
        raise SidesError(
            f"it takes two targets, and there are {len(sides)}",
            "paramscope diff old.json model.py:build; for revisions paramscope diff HEAD~1 HEAD -- model.py:build",
        )
    is_saved = [each.endswith(".json") for each in sides]
    asked = [NOTHING if saved and not all(is_saved) else building for saved in is_saved]
    return [load_report(*each) for each in zip(sides, asked, strict=True)]


def _revisions(revisions: tuple[str, ...], targets: list[str], building: Building) -> list[Report]:
    """The reports on one target at two revisions, or at one and in the working tree."""
    from paramscope.cli._waiting import waiting
    from paramscope.load.revisions import report_at

    if not 1 <= len(revisions) <= 2 or len(targets) != 1:
        raise SidesError(
            "it takes one or two revisions, and one target behind --",
            "Options stand before --: paramscope diff HEAD~1 HEAD -O make -- model.py:build",
        )
    found = []
    for revision in (*revisions, None)[:2]:
        with waiting(f"building {targets[0]} at {revision or 'the working tree'}"):
            found.append(report_at(revision, targets[0], building.as_options()))
    return found
