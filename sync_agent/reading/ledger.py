"""The byte ledger: every byte of every transcript, and where it is (docs/specs/byte-ledger.md)."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from annals.buffer.faults import translated
from annals.records.identity import readable
from annals.records.kept_files import KeptFile
from annals.settings import Settings
from sync_agent.buffer.buffer_reader import forgotten_roots
from sync_agent.buffer.rows import FileState
from sync_agent.buffer.vanished_files import kept_files
from sync_agent.reading.foreign_files import foreign_files
from sync_agent.reading.paths import shown
from sync_agent.reading.survey import Place, Survey, places_outside, survey


@dataclass(frozen=True, slots=True)
class Custody:
    """What is in custody of the files on disk, in bytes; and what of files that are gone.

    Over the files on disk ``entry_bytes + quarantined_bytes + separator_bytes + pending_bytes``
    is ``bytes_on_disk``; ``balanced`` says that this holds for every single file.
    ``vanished`` are the files that are gone and ``vanished_bytes`` what is kept of them, those
    that vanished before this buffer was made included (as the lake knows them, L-11).
    ``lost_pending_bytes`` are their unfinished last lines. ``places_unreadable``
    counts folders that could not be looked into, ``outside`` names every place outside custody:
    what lies there is in no figure. ``foreign`` are the files of other programs among ``files``.
    ``ignored`` is what IGNORE_PATTERNS leaves out and looks like a transcript or its folder.
    """

    files: int = 0
    files_vanished: int = 0
    entries: int = 0
    bytes_on_disk: int = 0
    entry_bytes: int = 0
    quarantined_bytes: int = 0
    separator_bytes: int = 0
    pending_bytes: int = 0
    quarantined: int = 0
    lost_pending_bytes: int = 0
    places_unreadable: int = 0
    balanced: bool = True
    outside: tuple[Place, ...] = ()
    foreign: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    vanished_bytes: int = 0


class _Account(NamedTuple):
    path: bytes
    state: str
    size: int
    offset: int
    entries: int
    quarantined: int
    entry_bytes: int
    quarantined_bytes: int
    separator_bytes: int


_SELECT = """
select path_bytes, state, coalesce(size, offset), offset, entries, quarantined, entry_bytes,
       quarantined_bytes, separator_bytes
from files join locations using (location_id) where root = ?
"""


def custody(settings: Settings) -> Custody:
    """Compare what was read with what is on disk; bytes not read yet are pending.

    Raises TranscriptError where all roots are missing, LocalBufferError where the buffer cannot be
    read. Changes nothing.
    """
    surveyed = survey(settings)
    unread = {found.path: found.size for listing in surveyed.listings for found in listing.files}
    vanished: list[_Account] = []
    total = [0] * 7
    balanced = True
    for account in _accounts(settings.sqlite_path, surveyed):
        if account.state == FileState.VANISHED:
            vanished.append(account)
            continue
        size = unread.get(account.path)
        if size is None or account.offset > size:
            continue  # not there, or cut since: the next sync reads it again
        del unread[account.path]
        judged = account.entry_bytes + account.quarantined_bytes + account.separator_bytes
        balanced = balanced and judged == account.offset
        figures = (size, size - account.offset, *account[4:])
        total = [sum(pair) for pair in zip(total, figures, strict=True)]
    pending = sum(unread.values())
    kept = Custody(
        files=surveyed.files,
        bytes_on_disk=total[0] + pending,
        pending_bytes=total[1] + pending,
        entries=total[2],
        quarantined=total[3],
        entry_bytes=total[4],
        quarantined_bytes=total[5],
        separator_bytes=total[6],
        places_unreadable=surveyed.places_unreadable,
        balanced=balanced,
        outside=(*places_outside(surveyed), *_forgotten(settings)),
        foreign=foreign_files(settings),
        ignored=tuple(shown(path) for one in surveyed.listings for path in one.ignored),
    )
    return _with_vanished(kept, vanished, _vanished_before(settings, surveyed))


def _with_vanished(custody: Custody, vanished: list[_Account], before: list[KeptFile]) -> Custody:
    names = (*(shown(item.path) for item in vanished), *(file.file_path for file in before))
    lost = [item.size - item.offset for item in vanished]
    kept = [item.offset for item in vanished]
    return replace(
        custody,
        files_vanished=len(names),
        vanished=names,
        vanished_bytes=sum(kept) + sum(file.kept_bytes for file in before),
        lost_pending_bytes=sum(lost) + sum(file.lost_bytes for file in before),
    )


def _vanished_before(settings: Settings, surveyed: Survey) -> list[KeptFile]:
    """Return what is kept of files that this buffer never read, and that are not back since."""
    kept = kept_files(settings)
    if not kept:
        return []
    listed = {
        readable(os.fsdecode(found.path))
        for listing in surveyed.listings
        for found in listing.files
    }
    return [file for file in kept if file.file_path not in listed]


def _forgotten(settings: Settings) -> Iterator[Place]:
    for root in forgotten_roots(settings):
        yield Place(str(root), "transcripts were read here, and it is missing; mount it")


def _accounts(path: Path, surveyed: Survey) -> Iterator[_Account]:
    """Yield what was read of each file below the roots that were surveyed."""
    if not path.exists():
        return
    with translated(path):
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=30)
        with contextlib.closing(connection):
            if not _has_tables(connection):
                return
            for listing in surveyed.listings:
                yield from map(_Account._make, connection.execute(_SELECT, (listing.root,)))


def _has_tables(connection: sqlite3.Connection) -> bool:
    """Return whether the buffer was made at all; a start can die right before."""
    row = connection.execute("select count(*) from sqlite_master where name = 'files'").fetchone()
    return bool(row[0])
