"""Write a tree of generated transcripts: ``python -m examples.generator --out DIR``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from examples.generator.profiles import SEED, write_bench, write_expected


def main(arguments: list[str] | None = None) -> int:
    """Write the tree that the arguments ask for, and its truth beside it; return 0."""
    parser = argparse.ArgumentParser(prog="python -m examples.generator", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write below")
    parser.add_argument("--seed", type=int, default=SEED, help="same seed, same bytes")
    parser.add_argument("--lines", type=int, default=100_000, help="lines of the bench profile")
    parser.add_argument("--files", type=int, help="main files of the bench profile")
    parser.add_argument("--truth", type=Path, help="file for the expected truth (JSON)")
    given = parser.parse_args(arguments)
    truth = write_bench(given.out, lines=given.lines, files=given.files, seed=given.seed)
    if given.truth:
        write_expected(given.truth, truth)
    totals = truth.totals()
    sys.stderr.write(
        f"{totals['files']} files, {totals['entries']} entries, {totals['size']} bytes\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
