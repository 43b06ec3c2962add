"""Folders that got no watch: looked into from time to time, while the others give hints."""

from __future__ import annotations

import sqlite3

from annals.watching.watcher import WatchRefusedError
from sync_agent.buffer.store import transaction

POLLED_KEY = "folders_polled"
"""Where the agent notes, in the buffer's table ``meta``, how many folders have no watch."""


def store_polled(connection: sqlite3.Connection, folders: int) -> None:
    """Note how many folders are polled for want of watches, for commands that ask the buffer."""
    with transaction(connection):
        connection.execute(
            "insert or replace into meta (key, value) values (?, ?)", (POLLED_KEY, folders)
        )


class PolledFolders:
    """The folders below one root for which the system had no watch left."""

    def __init__(self) -> None:
        self._folders: set[bytes] = set()
        self._refusal: WatchRefusedError | None = None

    def __len__(self) -> int:
        return len(self._folders)

    def add(self, folder: bytes, refusal: WatchRefusedError) -> None:
        """Take a folder that was refused a watch."""
        self._folders.add(folder)
        self._refusal = refusal

    def discard(self, folder: bytes) -> None:
        """Leave a folder that is watched now."""
        self._folders.discard(folder)

    def clear(self) -> None:
        """Leave all folders."""
        self._folders.clear()

    def holds(self, path: bytes) -> bool:
        """Return whether ``path`` lies right in one of the folders."""
        return path.rpartition(b"/")[0] in self._folders

    def topmost_folders(self) -> set[bytes]:
        """Return the folders that lie in no other one: a look into them is a look into all."""
        return {folder for folder in self._folders if not self._has_parent(folder)}

    def _has_parent(self, folder: bytes) -> bool:
        while folder:
            folder = folder.rpartition(b"/")[0]
            if folder in self._folders:
                return True
        return False

    @property
    def note(self) -> str:
        """What to tell people of it, empty where every folder is watched."""
        if not self._folders or self._refusal is None:
            return ""
        number = f"{len(self):,} folder{'s are' if len(self) > 1 else ' is'}"
        return f"{self._refusal}: {number} polled; {self._refusal.remedy}"
