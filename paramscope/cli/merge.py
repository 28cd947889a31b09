"""`paramscope merge`: the reports that the ranks of a job have saved, as one."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING

import click

from paramscope.cli import _completing as completing
from paramscope.errors import RanksError

if TYPE_CHECKING:
    from paramscope.snapshot import Snapshot


@click.command("merge")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "-f",
    "--format",
    "format_",
    metavar="FORMAT",
    help="tree (the default), json, html, …: as of inspect.",
    shell_complete=completing.formats,
)
@click.option("-o", "--output", metavar="FILE", help="Write to a file; its ending implies the format.")
def command(files: tuple[str, ...], format_: str | None, output: str | None) -> None:
    """Show what the ranks of a job hold, and where they differ, from the report that each of them has saved. Ranks
    are numbered as the job does; of reports that do not say it, by the last number in the names of the files.

    \b
    audit(model, optimizer=optimizer, values=True).to_json()       # on each rank, into rank0.json, rank1.json, …
    paramscope merge rank*.json
    paramscope merge rank*.json -o job.json && paramscope check job.json
    """
    from paramscope.analysis.across import together
    from paramscope.api import judge
    from paramscope.cli._output import check_writable, format_of, screen, write
    from paramscope.cli._waiting import waiting
    from paramscope.render import options_of, render
    from paramscope.report.face import Report
    from paramscope.wire.reader import read_report_file

    format_ = format_ or format_of(output, otherwise="tree")
    taken = options_of(format_)
    check_writable(output)
    reports: dict[str, Report] = {}
    with waiting("reading reports") as progress:
        for number, file in enumerate(dict.fromkeys(files), 1):
            reports[file] = read_report_file(file, Report)
            progress(number, len(files))
    with waiting("merging reports"):
        snapshot = together(_numbered({file: report.snapshot for file, report in reports.items()}))
    targets = {report.target for report in reports.values()}
    report = judge(snapshot, target=targets.pop() if len(targets) == 1 else None)
    options = {name: value for name, value in screen(output).items() if name in taken}
    write(render(report, format_, **options), output)


def _numbered(seen: dict[str, Snapshot]) -> list[tuple[int, Snapshot]]:
    """(rank, what it saw). Raises RanksError where it is not known, or two are one."""
    by_rank: dict[int, str] = {}
    found = []
    says_all = all(each.rank is not None for each in seen.values())
    for file, snapshot in seen.items():
        numbers = re.findall(r"\d+", PurePath(file).stem)
        rank = snapshot.rank if says_all else int(numbers[-1]) if numbers else None
        if rank is None:
            raise RanksError(f"{file} does not say which rank has saved it", "Call the files rank0.json, …")
        if rank in by_rank:
            raise RanksError(f"{by_rank[rank]} and {file} are both of rank {rank}", "Merge one report of each rank.")
        by_rank[rank] = file
        found.append((rank, snapshot))
    return found
