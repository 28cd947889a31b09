"""`paramscope inspect`: everything that is in a model, in any format."""

from __future__ import annotations

import click

from paramscope.cli._building import Building, building_options
from paramscope.errors import FormatError


@click.command("inspect")
@click.argument("target")
@building_options
@click.option(
    "-f",
    "--format",
    "format_",
    metavar="FORMAT",
    help="table (the default), tree, optimizer, summary, markdown, csv, json, …",
)
@click.option("-o", "--output", metavar="FILE", help="Write to a file; its ending implies the format.")
@click.option("--no-fold", is_flag=True, help="Every slot on its own row, including empty ones.")
@click.option("--path", "glob", metavar="GLOB", help="Only slots that match: 'encoder.*', '*.bias'.")
@click.option(
    "--status",
    metavar="WORDS",
    help="Only slots that are trainable, frozen, hidden, buffer, attribute, shared, not-stepped …",
)
@click.option("--depth", type=int, metavar="N", help="Sum up modules N steps below the root.")
@click.option("--sort", metavar="WORD", help="By model (the default), path, elements, bytes, status or dtype.")
@click.option("--columns", metavar="WORDS", help="Columns of the table: shape,dtype,bytes,share,groups,module, …")
def command(
    target: str,
    format_: str | None,
    output: str | None,
    no_fold: bool,  # noqa: FBT001  # click passes by keyword
    glob: str | None,
    status: str | None,
    depth: int | None,
    sort: str | None,
    columns: str | None,
    building: Building,
) -> None:
    """Show what is in TARGET: slots with their four fates, totals, sharing, optimizers.

    \b
    paramscope inspect model.py:build
    paramscope inspect model.py:build -O train.py:make_optimizer -f optimizer
    paramscope inspect model.py:build -f tree --depth 3
    paramscope inspect model.py:build --status frozen,hidden --sort elements --columns shape,bytes
    paramscope inspect package.module:Net --arg dim=64 --meta
    paramscope inspect model.py:build -o report.json && paramscope inspect report.json
    """
    from paramscope.cli._input import load_report
    from paramscope.cli._output import check_writable, terminal_width, wants_color, write
    from paramscope.render import options_of, render, takers_of

    format_ = format_ or _format_of(output)
    taken = options_of(format_)
    check_writable(output)
    options: dict[str, object] = {}
    if no_fold:
        options["fold"] = False
    chosen = {"path": glob, "status": status, "depth": depth, "sort": sort, "columns": columns}
    options.update((name, value) for name, value in chosen.items() if value is not None)
    for name in options:
        if name not in taken:
            flag = "--no-fold" if name == "fold" else f"--{name}"
            raise FormatError(f"the format {format_} takes no {flag}", f"These do: {', '.join(takers_of(name))}.")
    screen = {"width": terminal_width(), "color": wants_color(output)}
    options.update((name, value) for name, value in screen.items() if name in taken)
    report = load_report(target, building)
    write(render(report, format_, **options), output)


def _format_of(output: str | None) -> str:
    from paramscope.cli._output import ending
    from paramscope.render import formats

    written = ending(output)
    implied = {"md": "markdown", "mmd": "mermaid", "gv": "dot", "htm": "html"}.get(written, written)
    return implied if implied in formats() else "table"
