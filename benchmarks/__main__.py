"""`python -m benchmarks`: measures, prints the tables, and writes them where readers look for them."""

from __future__ import annotations

import argparse

from benchmarks.results import FULL, QUICK, run
from benchmarks.startup import ROOT
from benchmarks.table import document

DOCUMENT = ROOT / "docs" / "benchmarks.md"


def main() -> None:
    """Runs the benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small models and few repeats, for development; writes no file"
    )
    parser.add_argument(
        "--largest", type=int, metavar="N", help="modules of the largest tree: 1,000,000 take an hour"
    )
    options = parser.parse_args()
    is_quick = options.quick
    results = run((QUICK if is_quick else FULL)._replace(largest=options.largest))
    text = document(results)
    print(text)
    if is_quick:
        return
    DOCUMENT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
