"""Which folders of transcripts containers need: every root, and where links in it lead."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READERS = ("sync-agent", "prefect-worker")
"""The services that get the folders of transcripts, read-only and under their own paths."""


@dataclass(frozen=True, slots=True)
class LinkedProject:
    """A project folder that is a link: its path, and the real folder."""

    path: Path
    target: Path


def linked_projects(roots: Sequence[Path]) -> Iterator[LinkedProject]:
    """Yield the project folders that are links out of every root; raises nothing."""
    real = [Path(os.path.realpath(root)) for root in roots]
    for root in roots:
        try:
            links = sorted(path for path in root.iterdir() if path.is_symlink())
        except OSError:  # the check of the root says so
            continue
        for path in links:
            target = Path(os.path.realpath(path))
            if not any(target.is_relative_to(one) for one in real):
                yield LinkedProject(path, target)


def extra_mounts(roots: Sequence[Path]) -> list[Path]:
    """Return the folders to mount beside the first root: the others, and targets of links."""
    targets = [link.target for link in linked_projects(roots) if refusal_of(link, roots) is None]
    return [*roots[1:], *dict.fromkeys(targets)]


def refusal_of(link: LinkedProject, roots: Sequence[Path]) -> str | None:
    """Return why the target of a link is not mounted, None if it is."""
    if not link.target.is_dir():
        return "is not a folder" if link.target.exists() else "does not exist"
    if any(root.is_relative_to(link.target) for root in roots):
        return "holds the transcript folder itself"
    if not os.access(link.target, os.R_OK | os.X_OK):
        return "may not be read"
    return None


def as_volumes(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the folders as volumes of a compose file."""
    return [
        {
            "type": "bind",
            "source": str(folder),
            "target": str(folder),
            "read_only": True,
            "bind": {"create_host_path": False},
        }
        for folder in folders
    ]
