"""Write a tree of generated transcripts: ``python -m examples.generator --out DIR``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from examples.generator import SEED, Truth, write_bench, write_expected, write_hazards, write_sample


def main(arguments: list[str] | None = None) -> int:
    """Write the tree that the arguments ask for and, if asked, its truth; return 0."""
    given = _parser().parse_args(arguments)
    truth = _write(given)
    if given.truth:
        write_expected(given.truth, truth)
    totals = truth.totals()
    print(  # noqa: T201 -- this is a command
        f"{totals['files']} files, {totals['entries']} entries, {totals['size']} bytes",
        file=sys.stderr,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.generator", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write below")
    parser.add_argument("--profile", choices=("sample", "hazards", "bench"), default="sample")
    parser.add_argument("--seed", type=int, default=SEED, help="same seed, same bytes")
    parser.add_argument("--lines", type=int, default=100_000, help="lines of the bench profile")
    parser.add_argument("--files", type=int, help="main files of the bench profile")
    parser.add_argument("--truth", type=Path, help="file for the expected truth (JSON)")
    return parser


def _write(given: argparse.Namespace) -> Truth:
    if given.profile == "sample":
        return write_sample(given.out, seed=given.seed)
    if given.profile == "hazards":
        return write_hazards(given.out, seed=given.seed)
    return write_bench(given.out, lines=given.lines, files=given.files, seed=given.seed)


if __name__ == "__main__":
    raise SystemExit(main())
