"""`python -m crater`: goes over all packages, keeps what came of each as JSON, and writes the page."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from click import echo


def main(arguments: list[str] | None = None) -> int:
    """Runs as the command line says; returns 1 where an audit went wrong, or more is unproven than may be."""
    parser = argparse.ArgumentParser(
        prog="crater", description="Audit the models of packages that nobody here wrote."
    )
    parser.add_argument("--only", help="packages as they are imported, separated by commas")
    parser.add_argument(
        "--keep", type=Path, default=Path(".crater/outcomes"), help="folder of the outcomes, a JSON each"
    )
    parser.add_argument("--resume", action="store_true", help="do what is missing, or was lost, in the kept outcomes")
    parser.add_argument("--judge", action="store_true", help="run nothing; take the outcomes that were kept")
    parser.add_argument("--write", type=Path, metavar="PAGE.md", help="write a page")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1800, help="time for one package")
    options = parser.parse_args(arguments)
    os.environ["HF_HUB_OFFLINE"] = "1"  # Nothing is loaded from anywhere.

    from crater.page import page, summary
    from crater.records import read_all
    from crater.verdicts import judged

    if not options.judge:
        go(options)
    outcomes = read_all(options.keep)
    result = judged(outcomes)
    echo(summary(outcomes, result))
    if options.write:
        options.write.write_text(page(outcomes, result), encoding="utf-8")
    return 0 if result.is_good and not any(outcome.wrong for outcome in outcomes) else 1


def go(options: argparse.Namespace) -> None:
    """Runs every package in a process of its own."""
    from zoo.sweep import Lost, sweep

    from crater.records import Outcome, read, read_all
    from crater.work import Job, limit_memory, run

    options.keep.mkdir(parents=True, exist_ok=True)
    files = sorted((Path(__file__).parent / "packages").glob("[a-z]*.py"))
    names = options.only.split(",") if options.only else [file.stem for file in files]
    kept = {outcome.name: outcome for outcome in read_all(options.keep)} if options.resume else {}
    jobs = [
        Job(name, str(options.keep.resolve()), is_resumed=name in kept)
        for name in names
        if name not in kept or kept[name].lost
    ]
    for job in jobs:
        if not job.is_resumed:
            (options.keep / f"{job.name}.json").unlink(missing_ok=True)
    start = time.monotonic()
    for outcome in sweep(
        jobs, run, prepare=limit_memory, workers=options.workers, seconds=options.seconds, jobs_each=1
    ):
        if isinstance(outcome, Lost):
            file = options.keep / f"{outcome.job.name}.json"
            begun = read(file) if file.exists() else Outcome(outcome.job.name)
            begun.lost = f"{outcome.reason}, while {outcome.phase}"
            begun.write(options.keep)
            outcome = begun
        echo(
            f"{time.monotonic() - start:5.0f} s  {outcome.name}: {len(outcome.roots)} classes, {outcome.audits} audits, "
            f"{len(outcome.found)} findings {outcome.lost}",
            err=True,
        )


if __name__ == "__main__":
    sys.exit(main())
