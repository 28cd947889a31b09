"""`paramscope graph`: a model as a picture."""

from __future__ import annotations

import click

from paramscope.cli import _completing as completing
from paramscope.cli._building import building_options
from paramscope.errors import FormatError
from paramscope.load.building import Building

ENDINGS = {
    "svg": "svg",
    "png": "png",
    "pdf": "pdf",
    "dot": "dot",
    "gv": "dot",
    "mmd": "mermaid",
    "mermaid": "mermaid",
}
"""Formats of the graph by the ending of a file."""
CHARTS = {"treemap": "treemap", "treemap.svg": "treemap", "cost_bars": "cost_bars", "cost.svg": "cost_bars"}
"""Formats that draw amounts, and no graph, each an SVG; by the names that they are asked for by."""


@click.command("graph")
@click.argument("target", shell_complete=completing.targets)
@building_options
@click.option("-o", "--output", metavar="FILE", help="model.svg, .png, .pdf, .dot or .mmd (Mermaid).")
@click.option(
    "-f",
    "--format",
    "format_",
    metavar="FORMAT",
    shell_complete=completing.among(*ENDINGS.values(), *CHARTS),
    help="svg, png, pdf, dot (the default) or mermaid; treemap or cost_bars, which are SVG.",
)
@click.option("--depth", metavar="N", type=int, help="Close modules N steps below the root.")
@click.option("--around", metavar="PATH", help="Who holds it, what shares its memory, who steps it.")
@click.option("--only", metavar="WHAT", help="ties, frozen, hidden or optimizer.")
@click.option("--no-fold", is_flag=True, help="A box of its own for each repeated module.")
@click.option("--size", metavar="WHAT", help="What the areas of a treemap stand for: elements or bytes.")
def command(
    target: str,
    output: str | None,
    format_: str | None,
    depth: int | None,
    around: str | None,
    only: str | None,
    no_fold: bool,  # noqa: FBT001  # click passes by keyword
    size: str | None,
    building: Building,
) -> None:
    """Draw TARGET: modules, what is frozen, hidden, tied or in no optimizer group, and who steps what; or how large
    its parts are, and what training takes.

    \b
    paramscope graph model.py:build -o model.svg
    paramscope graph model.py:build -O train.py:make_optimizer --only optimizer -o steps.png
    paramscope graph model.py:build --around decoder.weight -o tie.svg
    paramscope graph report.json -o model.mmd
    paramscope graph model.py:build -f treemap -o map.svg
    paramscope graph model.py:build -O train.py:make_optimizer -f cost.svg -o cost.svg
    """
    from paramscope.cli._input import load_report
    from paramscope.cli._output import check_writable, write
    from paramscope.cli._waiting import waiting
    from paramscope.render import options_of, render, takers_of

    format_ = _format(format_, output)
    if format_ in ("svg", "png", "pdf"):
        from paramscope.render.picture._layout import engine

        engine()  # building a large model takes longer than finding out that it cannot be drawn
    check_writable(output)
    chosen = {"depth": depth, "around": around, "only": only, "size": size, "fold": False if no_fold else None}
    options = {name: value for name, value in chosen.items() if value is not None}
    for name in options.keys() - options_of(format_):
        flag = "--no-fold" if name == "fold" else f"--{name}"
        raise FormatError(f"the format {format_} takes no {flag}", f"These do: {', '.join(takers_of(name))}.")
    report = load_report(target, building)
    with waiting(f"drawing {target}"):
        picture = render(report, format_, **options)
    write(picture, output)


def _format(format_: str | None, output: str | None) -> str:
    """The requested format. Raises FormatError."""
    from paramscope.cli._output import ending

    if format_ is not None:
        if format_ not in CHARTS and format_ not in ENDINGS.values():
            known = "Write -f svg, png, pdf, dot, mermaid, treemap or cost_bars."
            raise FormatError(f"a graph cannot be written as {format_!r}", known)
        if format_ in CHARTS and output is not None and ENDINGS.get(ending(output), "svg") != "svg":
            raise FormatError(f"{output}: {format_} is an SVG", "Write to a file that ends in .svg.")
        return CHARTS.get(format_, format_)
    if output is None:
        return "dot"
    written = ending(output)
    if written not in ENDINGS:
        known = ", ".join(f".{each}" for each in ENDINGS)
        raise FormatError(f"{output}: no graph is written to such a file", f"Endings: {known}; or say -f svg.")
    return ENDINGS[written]
