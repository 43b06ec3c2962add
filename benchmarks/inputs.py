"""Write and change the transcripts of a benchmark; always run as a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from examples.generator import (
    Stage,
    Tree,
    changes,
    write_bench,
    write_huge_line,
    write_plain,
)

MIB = 1024 * 1024


def tree(root: Path, *, lines: int, files: int = 0) -> None:
    """Write ``lines`` lines in ``files`` files (0: as many as usual)."""
    write_bench(root, lines=lines, files=files or None)


def backlog(root: Path, *, lines: int, longest: int) -> None:
    """Write ``lines`` lines and one of ``longest`` MiB, little less (a limit may be that)."""
    write_bench(root, lines=lines)
    write_huge_line(Stage("huge_line", root, seed=1), longest * MIB - 1024)


def plain(root: Path, *, sessions: int, entries: int) -> None:
    """Write short entries, all alike, shared by ``sessions`` sessions."""
    write_plain(root, sessions=sessions, entries=entries)


def one_file(root: Path, *, size: int) -> None:
    """Write one file of ``size`` MB: a few thousand lines again and again."""
    write_bench(root / "parts", lines=3_000)
    block = b"".join(path.read_bytes() for path in sorted((root / "parts").rglob("*.jsonl")))
    for path in sorted((root / "parts").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (root / "parts").rmdir()
    target = root / "-home-ada-src-long" / "5d3a0f0e-6a5c-4c0e-8f43-2f6c1d1f9a77.jsonl"
    target.parent.mkdir(parents=True)
    with target.open("wb") as file:
        while file.tell() < size * 1_000_000:
            file.write(block)


def grow(root: Path, *, lines: int, files: int, seed: int) -> None:
    """Append ``lines`` lines, shared by ``files`` files from all over the tree."""
    paths = sorted(str(path.relative_to(root)) for path in root.rglob("*.jsonl"))
    step = max(1, len(paths) // files)
    changes.grow(Tree(root), paths[seed % step :: step][:files], lines=lines, seed=seed)


def main() -> None:
    """Call the function that is named after the root, with the ``name=integer`` that follow."""
    root, name, *given = sys.argv[1:]
    actions: dict[str, Callable[..., None]] = {
        action.__name__: action for action in (tree, backlog, plain, one_file, grow)
    }
    numbers = {key: int(value) for key, _, value in (word.partition("=") for word in given)}
    actions[name](Path(root), **numbers)


if __name__ == "__main__":
    main()
