"""`paramscope graph`: a model as a picture."""

from __future__ import annotations

import click

from paramscope.cli._building import Building, building_options

ENDINGS = {
    "svg": "svg",
    "png": "png",
    "pdf": "pdf",
    "dot": "dot",
    "gv": "dot",
    "mmd": "mermaid",
    "mermaid": "mermaid",
}
"""Formats by the ending of a file."""


@click.command("graph")
@click.argument("target")
@building_options
@click.option("-o", "--output", metavar="FILE", help="model.svg, .png, .pdf, .dot or .mmd (Mermaid).")
@click.option("-f", "--format", "format_", metavar="FORMAT", help="svg, png, pdf, dot (the default) or mermaid.")
@click.option("--depth", metavar="N", type=int, help="Close modules N steps below the root.")
@click.option("--around", metavar="PATH", help="Who holds it, what shares its memory, who steps it.")
@click.option("--only", metavar="WHAT", help="ties, frozen, hidden or optimizer.")
@click.option("--no-fold", is_flag=True, help="A box of its own for each repeated module.")
def command(
    target: str,
    output: str | None,
    format_: str | None,
    depth: int | None,
    around: str | None,
    only: str | None,
    no_fold: bool,  # noqa: FBT001  # click passes by keyword
    building: Building,
) -> None:
    """Draw TARGET: modules, what is frozen, hidden, tied or in no optimizer group, and who steps what.

    \b
    paramscope graph model.py:build -o model.svg
    paramscope graph model.py:build -O train.py:make_optimizer --only optimizer -o steps.png
    paramscope graph model.py:build --around decoder.weight -o tie.svg
    paramscope graph report.json -o model.mmd
    """
    from paramscope.cli._input import load_report
    from paramscope.cli._output import check_writable, write
    from paramscope.render import render

    format_ = _format(format_, output)
    if format_ in ("svg", "png", "pdf"):
        from paramscope.render.picture._layout import engine

        engine()  # building a large model takes longer than finding out that it cannot be drawn
    check_writable(output)
    report = load_report(target, building)
    write(render(report, format_, fold=not no_fold, depth=depth, around=around, only=only), output)


def _format(format_: str | None, output: str | None) -> str:
    """The requested format. Raises FormatError."""
    from paramscope.cli._output import ending
    from paramscope.errors import FormatError

    if format_ is not None:
        if format_ not in ENDINGS.values():
            raise FormatError(f"a graph cannot be written as {format_!r}", "Write -f svg, png, pdf, dot or mermaid.")
        return format_
    if output is None:
        return "dot"
    written = ending(output)
    if written not in ENDINGS:
        known = ", ".join(f".{each}" for each in ENDINGS)
        raise FormatError(f"{output}: no graph is written to such a file", f"Endings: {known}; or say -f svg.")
    return ENDINGS[written]
