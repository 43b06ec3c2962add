"""The seam to whatever reports changes below a root: its hints, and what it is asked.

Hints are never believed: they say where to look, a look at the file decides. What no hint told of
is found by the next full round (docs/specs/watching.md).
"""

from __future__ import annotations

import errno
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

MOUNTS = Path("/proc/self/mountinfo")

WATCHES_REMEDY = (
    "raise it with `sudo sysctl fs.inotify.max_user_watches=524288`"
    " (and in /etc/sysctl.d to keep it)"
)
"""What helps where the system's limit of watched folders is reached."""

_REMOTE = frozenset(
    [
        "9p",
        "afs",
        "ceph",
        "cifs",
        "davfs",
        "drvfs",
        "fakeowner",
        "glusterfs",
        "lustre",
        "nfs",
        "nfs4",
        "prl_fs",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "vmhgfs",
    ]
)
"""File systems on which others change files without this kernel seeing it."""


@dataclass(slots=True)
class Hints:
    """Where something may have changed.

    ``soon`` asks for a full round shortly (something was removed, a link was made), ``everything``
    at once (hints were lost), ``root_lost`` says that the root itself is gone or another one now.
    """

    files: set[bytes] = field(default_factory=set)
    folders: set[bytes] = field(default_factory=set)
    soon: bool = False
    everything: bool = False
    root_lost: bool = False


class WatchRefusedError(Exception):
    """The system refuses to tell of changes; ``remedy`` says what would help."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.remedy = remedy


class WatchLimitError(WatchRefusedError):
    """No watch is left for one more folder; those that are watched stay so."""


class Watcher(Protocol):
    """Reports changes below one root, from the moment that a folder is watched."""

    @property
    def quiet_seconds(self) -> float:
        """How long a root may go without a full round while nothing happens."""

    def fileno(self) -> int:
        """Return a descriptor that can be read when there are hints."""

    def watch(self, folder: bytes) -> None:
        """Tell of changes in ``folder``.

        Raises WatchLimitError where no watch is left for it, another WatchRefusedError where
        nothing can be watched, or OSError if it is gone.
        """

    def keep(self, folders: AbstractSet[bytes]) -> None:
        """Forget every folder but these."""

    def hints(self) -> Hints:
        """Return what there is, without waiting."""

    def close(self) -> None:
        """Stop telling."""


def refused(error: OSError) -> WatchRefusedError:
    """Return why the system refuses to watch, with the remedy."""
    if error.errno == errno.ENOSPC:
        return WatchLimitError(
            "the system's limit of watched folders is reached",
            WATCHES_REMEDY,
        )
    if error.errno == errno.EMFILE:
        return WatchRefusedError(
            "the system's limit of watchers is reached",
            "raise it with `sudo sysctl fs.inotify.max_user_instances=512` (and in"
            " /etc/sysctl.d to keep it), then restart",
        )
    return WatchRefusedError(
        f"the system does not tell of changes: {error.strerror}", "set WATCH_MODE=poll"
    )


def remote_file_system(path: Path, mounts: Path = MOUNTS) -> str | None:
    """Return the type of the network or shared file system that ``path`` lies on, or None.

    ``mounts`` is the table of what is mounted, as Linux has it; without one nothing is known.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    best, kind = "", ""
    for line in lines:
        fields, _, after = line.partition(" - ")
        point = fields.split(" ")[4].replace("\\040", " ")
        if len(point) >= len(best) and path.is_relative_to(point):
            best, kind = point, after.split(" ")[0]
    is_remote = kind in _REMOTE or (kind.startswith("fuse.") and kind != "fuse.overlayfs")
    return kind if is_remote else None
