"""`paramscope check`: what is wrong with models, for people and for CI; the exit code says whether to stop."""

from __future__ import annotations

import click

from paramscope.cli import _completing as completing
from paramscope.cli._building import building_options
from paramscope.load.building import Building


@click.command("check")
@click.argument("targets", metavar="[TARGET]...", nargs=-1, shell_complete=completing.targets)
@building_options
@click.option(
    "--select",
    metavar="CODES",
    multiple=True,
    help="Only these rules: PS101, or PS1 for all PS1xx.",
    shell_complete=completing.codes,
)
@click.option("--ignore", metavar="CODES", multiple=True, help="Not these rules.", shell_complete=completing.codes)
@click.option(
    "--fail-on",
    metavar="SEVERITY",
    help="error, warning (the default), info, or never.",
    shell_complete=completing.severities,
)
@click.option(
    "-f",
    "--format",
    "--output-format",
    "format_",
    metavar="FORMAT",
    shell_complete=completing.check_formats,
    help="text (the default), json, github, gitlab, sarif or junit; as in ruff also full, which is text, and "
    "concise, which is text -q. PARAMSCOPE_OUTPUT_FORMAT sets another default.",
)
@click.option("-o", "--output", metavar="FILE", help="Write to a file; .json, .sarif and .xml imply the format.")
@click.option("--show-ignored", is_flag=True, help="In text: also list accepted findings, with the reasons.")
@click.option("-v", "--verbose", is_flag=True, help="In text: show infos in full, which else are counted.")
@click.option("-q", "--quiet", is_flag=True, help="In text: a line for each finding and nothing else.")
@click.option("--baseline", metavar="FILE", help="Accept the findings in this file.")
@click.option("--write-baseline", metavar="FILE", help="Accept all of today's findings: write them to this file.")
@click.option("--locked", is_flag=True, help="Also hold models against paramscope.lock, here or in a folder above.")
@click.option("--update-lock", is_flag=True, help="Write what models are to it, where they are otherwise.")
@click.option("--lock-file", metavar="FILE", help="Another lock file.")
@click.option("--values", is_flag=True, help="Also read the values of tensors: NaN, constants, copies.")
def command(
    targets: tuple[str, ...],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str | None,
    format_: str | None,
    output: str | None,
    show_ignored: bool,  # noqa: FBT001  # click passes by keyword
    verbose: bool,  # noqa: FBT001
    quiet: bool,  # noqa: FBT001
    baseline: str | None,
    write_baseline: str | None,
    locked: bool,  # noqa: FBT001
    update_lock: bool,  # noqa: FBT001
    lock_file: str | None,
    building: Building,
    values: bool,  # noqa: FBT001
) -> int:
    """Check TARGETs, saved reports among them, against all rules. Exits 0 if nothing is found at or above
    --fail-on, 1 if something is, or is not as it was declared or locked, 2 if a target or an option is wrong.

    Rules, severities, accepted findings and models may be declared under [tool.paramscope] in pyproject.toml: a
    TARGET may be the name of such a model, and without one all of them are checked. A finding is also accepted on its
    line: `# paramscope: ignore[PS104] why this is right`.

    \b
    paramscope check model.py:build -O train.py:make_optimizer
    paramscope check model.py:small model.py:large --select PS1,PS501 --fail-on error
    paramscope check model.py:build -f sarif -o paramscope.sarif
    paramscope check model.py:build --write-baseline baseline.json
    paramscope check model.py:build --locked
    torchrun --nproc-per-node 4 -m paramscope check train.py:build --ranks
    paramscope check
    paramscope rules; paramscope explain PS101
    """
    from paramscope.cli import _checking as checking
    from paramscope.cli._input import project
    from paramscope.cli._output import check_writable, is_other_rank, write
    from paramscope.errors import OutputError
    from paramscope.wire.lock import LockError

    format_ = checking.format_for(format_, output)
    check_writable(output)
    check_writable(write_baseline)
    config = project()
    asked = checking.subjects(targets, building, config)
    plan = checking.to_plan(asked, config, select, ignore, fail_on, baseline, write_baseline)
    told = {"show_ignored": show_ignored, "verbose": verbose, "quiet": quiet}
    try:
        checks, failed = checking.check_all(asked, plan, values=values)
    except checking.Interrupted as interrupt:
        # What a program reads, and what is kept in a file, is of all targets or is not there.
        if checking.is_for_people(format_) and output is None:
            write(checking.rendered(interrupt.checks, plan, format_, None, len(interrupt.failed), **told), None)
        for one in interrupt.failed:
            click.echo(f"error: {one}", err=True)
        raise
    if building.ranks and is_other_rank() and checks:
        checking.meet_other_ranks()
        return checking.exit_code(checks, plan)  # the first one has written
    if failed and (not checks or write_baseline is not None):
        checking.fail(failed)
    if write_baseline is not None:
        checks = checking.into_baseline(checks, write_baseline)
    unchecked = len(failed)
    if locked or update_lock or lock_file is not None:
        try:
            checks = checking.held_to_lock(checks, building, lock_file, is_updated=update_lock)
        except (LockError, OutputError) as error:  # what is found is said all the same
            failed.append(error)
    write(checking.rendered(checks, plan, format_, output, unchecked, **told), output)
    for line in (*plan.warnings, *checking.stale_lines(checks, plan)):
        click.echo(f"warning: {line}", err=True)
    checking.write_job_summary(checks)
    unmet = [told for each in checks for told in each.unmet]
    lines = "".join(f"{line}\n" for line in unmet)
    if checking.is_for_people(format_) or output is not None:
        write(lines, None)
    else:  # what is read by a program stays whole
        click.echo(lines, nl=False, err=True)
    if failed:
        checking.fail(failed)
    if building.ranks:
        checking.meet_other_ranks()
    return checking.exit_code(checks, plan) or int(bool(unmet))
