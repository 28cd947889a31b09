"""`python -m zoo`: sweeps over all model types, prints a summary, and exits with 1 where a check failed."""

from __future__ import annotations

import argparse
import os
import pickle
import sys
import time
from pathlib import Path

from click import echo


def main(arguments: list[str] | None = None) -> int:
    """Runs a sweep as the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(prog="zoo", description="Check reports over every architecture of transformers.")
    parser.add_argument("--all", action="store_true", help="every class, not only the base model and one head")
    parser.add_argument("--types", help="model types, separated by commas; all, if left out")
    parser.add_argument("--write", type=Path, metavar="PAGE.md", help="write a page")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the results, pickled")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60, help="time for one class")
    options = parser.parse_args(arguments)
    # Nothing is loaded from anywhere, and nobody asks.
    os.environ["HF_HUB_OFFLINE"] = "1"

    from zoo.catalogue import jobs
    from zoo.page import Results, page, summary
    from zoo.sweep import sweep
    from zoo.task import limit_memory, run

    start = time.monotonic()
    try:
        todo = jobs(options.types.split(",") if options.types else None, every_class=options.all)
    except KeyError as error:
        parser.error(f"there is no model type {error}")
    outcomes = []
    for outcome in sweep(todo, run, prepare=limit_memory, workers=options.workers, seconds=options.seconds):
        outcomes.append(outcome)
        if len(outcomes) % 50 == 0 or len(outcomes) == len(todo):
            echo(f"{len(outcomes)} of {len(todo)} after {time.monotonic() - start:.0f} s", err=True)
    results = Results(outcomes)
    echo(summary(results))
    if options.write:
        options.write.write_text(page(results, (time.monotonic() - start) / 60), encoding="utf-8")
    if options.keep:
        options.keep.write_bytes(pickle.dumps(outcomes))
    return 0 if results.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
