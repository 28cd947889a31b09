"""`paramscope inspect`: everything that is in a model, in any format."""

from __future__ import annotations

import click

from paramscope.cli import _completing as completing
from paramscope.cli._building import building_options
from paramscope.errors import FormatError
from paramscope.load.building import Building


class _Lists(click.Command):
    """Its help ends with what FORMAT, WORDS and STYLE may be."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from paramscope.render import formats
        from paramscope.render._chosen import CHOICES, SORTS
        from paramscope.render._columns import COLUMNS

        named = {"Formats": formats(), "Status": CHOICES, "Sort": SORTS, "Columns": COLUMNS}
        with formatter.section("Words"):
            formatter.write_dl([(name, ", ".join(words)) for name, words in named.items()])


@click.command("inspect", cls=_Lists)
@click.argument("target", shell_complete=completing.targets)
@building_options
@click.option(
    "-f",
    "--format",
    "format_",
    metavar="FORMAT",
    shell_complete=completing.formats,
    help="tree (the default), table (a row for each slot), optimizer, summary, html, json, …: all are listed below.",
)
@click.option("-o", "--output", metavar="FILE", help="Write to a file; its ending implies the format.")
@click.option("--no-fold", is_flag=True, help="Every slot on its own row, including empty ones.")
@click.option(
    "--path",
    "globs",
    metavar="GLOB",
    multiple=True,
    help="Only slots that match, or whose module does: 'encoder', '*.bias', 'layers.[0-3]'; several with commas.",
)
@click.option("--status", metavar="WORDS", help="Only slots that are one of these: frozen,hidden.")
@click.option(
    "--depth", type=int, metavar="N", help="Close modules N steps below the root; else as far as the screen asks."
)
@click.option("--sort", metavar="WORD", help="By model (the default), path, elements, bytes, status or dtype.")
@click.option("--columns", metavar="WORDS", help="Columns of the table: shape,dtype,bytes.")
@click.option("--cost", is_flag=True, help="What training takes in memory, now and at the first step.")
@click.option(
    "--plan", metavar="MESH", help="What each rank of fsdp=64,tp=8 would hold, or of replicate=2,fsdp=32 (HSDP)."
)
@click.option(
    "--bars/--no-bars",
    default=None,
    help="Bars beside shares, and a map of which of repeated blocks train; by default on a terminal.",
)
@click.option("--style", metavar="STYLE", help="The rows alone, for a paper: latex_booktabs, rst, github, grid, …")
def command(
    target: str,
    format_: str | None,
    output: str | None,
    no_fold: bool,  # noqa: FBT001  # click passes by keyword
    globs: tuple[str, ...],
    status: str | None,
    depth: int | None,
    sort: str | None,
    columns: str | None,
    cost: bool,  # noqa: FBT001  # as above
    plan: str | None,
    bars: bool | None,  # noqa: FBT001  # as above
    style: str | None,
    building: Building,
) -> None:
    """Show what is in TARGET: modules and slots with their four fates, totals, findings, sharing, optimizers.

    \b
    paramscope inspect model.py:build
    paramscope inspect model.py:build -O train.py:make_optimizer -f optimizer
    paramscope inspect model.py:build -f table --path layers.0,head
    paramscope inspect model.py:build --status frozen,hidden --sort elements --columns shape,bytes
    paramscope inspect model.py:build -O make_optimizer --cost --input-size 8,3,224,224
    paramscope inspect model.py:build -O make_optimizer --meta --plan fsdp=64,tp=8
    paramscope inspect package.module:Net --arg dim=64 --meta
    paramscope inspect model.py:build -o report.json && paramscope inspect report.json
    """
    from paramscope.cli._input import load_report
    from paramscope.cli._output import check_writable, format_of, is_other_rank, screen, write
    from paramscope.cli._waiting import waiting
    from paramscope.render import options_of, render, takers_of

    is_table = sort is not None or columns is not None or style is not None
    format_ = format_ or format_of(output, otherwise="cost" if cost or plan else "table" if is_table else "tree")
    taken = options_of(format_)
    check_writable(output)
    options: dict[str, object] = {}
    if no_fold:
        options["fold"] = False
    glob = ",".join(globs) if globs else None
    chosen = {
        "path": glob,
        "status": status,
        "depth": depth,
        "sort": sort,
        "columns": columns,
        "style": style,
        "plan": plan,
        "bars": bars,
    }
    options.update((name, value) for name, value in chosen.items() if value is not None)
    if cost and format_ != "cost":
        options["cost"] = True
    elif cost and plan:
        raise FormatError(
            "--cost and --plan are two views", "Leave one out, or write both into a document: -f markdown."
        )
    for name in options:
        if name not in taken:
            flag = "--no-fold" if name == "fold" else f"--{name}"
            raise FormatError(f"the format {format_} takes no {flag}", f"These do: {', '.join(takers_of(name))}.")
    shown = screen(output, bars=bars, is_whole=no_fold or glob is not None)
    options.update((name, value) for name, value in shown.items() if name in taken)
    report = load_report(target, building)
    if building.ranks and is_other_rank():
        return  # the first one writes
    with waiting(f"writing {target} as {format_}"):
        result = render(report, format_, **options)
    write(result, output)
