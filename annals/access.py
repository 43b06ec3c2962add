"""Who may reach the state: one look at all its paths, and modes that keep others out.

Every command that writes calls :func:`claim_state` before anything else.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from annals.errors import AnalyticsError, SettingsError
from annals.files import foreign, owner_name, read_state_text, replace_text, set_umask
from annals.limits import parse_json

if TYPE_CHECKING:
    from annals.settings import Settings

_PRIVATE_BITS = 0o077
_GROUP_BITS = 0o007
_NOTE = "access.json"
_BUFFER_FILES = ("", "-wal", "-shm", ".lock")
_OWN_FOLDERS = ("dbt", "dbt/target", "platform", "prefect", "docs", "backups")
_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Part:
    """A path of the state; ``folder`` is what a remedy names."""

    path: Path
    folder: Path


def claim_state(settings: Settings) -> None:
    """Set this process's umask, check that the state is ours, and close it to others.

    Raises SettingsError (exit 3) naming the first path that this user may not use, whose it is, and
    the command that gives it back.
    """
    set_umask(group=settings.state_mode == "group")
    for error in refused_parts(settings):
        raise error
    tighten_modes(settings)


def claim_buffer(settings: Settings) -> None:
    """Do the same for the buffer alone: an agent need not see the rest of the state."""
    set_umask(group=settings.state_mode == "group")
    is_private = settings.state_mode == "private"
    for part in _buffer_parts(settings):
        if error := _refusal(part, is_private=is_private):
            raise error
    bits = _PRIVATE_BITS if is_private else _GROUP_BITS
    for part in _buffer_parts(settings):
        close(part.path, bits)
    if settings.sqlite_path.parent in _tops(settings):
        close(settings.sqlite_path.parent, bits)


def _buffer_parts(settings: Settings) -> Iterator[Part]:
    home, buffer = settings.annals_home, settings.sqlite_path
    for suffix in _BUFFER_FILES:
        path = buffer.with_name(buffer.name + suffix)
        yield Part(path, home if path.is_relative_to(home) else path)


def parts(settings: Settings) -> Iterator[Part]:
    """Yield every place of the state whose path is known; they need not exist."""
    home, lake, builds = settings.annals_home, settings.lake_folder, settings.builds_folder
    yield Part(home, home)
    yield from _buffer_parts(settings)
    for path in (settings.warehouse_file, settings.pipeline_lock, home / "last-run.json"):
        yield Part(path, home if path.is_relative_to(home) else path)
    for name in _OWN_FOLDERS:
        yield Part(home / name, home)
    for folder in (lake, builds):
        yield Part(folder, home if folder.is_relative_to(home) else folder)
        for below in _folders(folder, _DEPTH):
            yield Part(below, home if folder.is_relative_to(home) else folder)
    yield Part(lake / "catalog.db", lake)


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the folders below ``folder`` and its links, as far as they may be seen."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                yield Path(entry.path)
            elif entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)
                if depth > 1:
                    yield from _folders(Path(entry.path), depth - 1)


def refused_parts(settings: Settings) -> Iterator[AnalyticsError]:
    """Yield an error for each part of the state that this user may not use."""
    is_private = settings.state_mode == "private"
    seen: set[Path] = set()
    for part in parts(settings):
        if part.path not in seen:
            seen.add(part.path)
            if error := _refusal(part, is_private=is_private):
                yield error


def _refusal(part: Part, *, is_private: bool) -> AnalyticsError | None:
    try:
        status = part.path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return _missing(part)
    except OSError:  # a folder above it may not be entered, and is refused by itself
        return None
    if is_private and status.st_uid != os.geteuid():
        return foreign(part.path, status, folder=part.folder)
    if stat.S_ISLNK(status.st_mode):
        return None
    return _denied(part, status)


def _denied(part: Part, status: os.stat_result) -> AnalyticsError | None:
    wanted = os.R_OK | os.W_OK | (os.X_OK if stat.S_ISDIR(status.st_mode) else 0)
    if os.access(part.path, wanted, effective_ids=True):
        return None
    if os.statvfs(part.path).f_flag & os.ST_RDONLY:
        return SettingsError(
            f"{part.path} is on a read-only file system",
            hint="Mount it read-write, or set ANNALS_HOME and SQLITE_PATH to another disk.",
            path=part.path,
        )
    return foreign(part.path, status, folder=part.folder)


def _missing(part: Part) -> AnalyticsError | None:
    """Return an error if the part does not exist and this user may not make it."""
    above = next(folder for folder in part.path.parents if os.path.lexists(folder))
    if not above.is_dir() or os.access(above, os.W_OK | os.X_OK, effective_ids=True):
        return None
    status = above.stat()
    return SettingsError(
        f"{part.path} cannot be made: {above} belongs to {owner_name(status.st_uid)}, mode"
        f" {stat.S_IMODE(status.st_mode):04o}, and {owner_name(os.geteuid())} runs this command",
        hint="Set ANNALS_HOME and SQLITE_PATH to places that this user may write, or change the"
        f" owner: `sudo chown -R USER {part.folder}`.",
        path=above,
    )


def tighten_modes(settings: Settings) -> None:
    """Take from existing state what others, or in private mode the group, may do with it.

    The folders at the top are looked at each time. What is below them is walked only if one of them
    was open, or if that was never done for this mode. What belongs to somebody else is left alone.
    """
    bits = _PRIVATE_BITS if settings.state_mode == "private" else _GROUP_BITS
    tops = [path for path in _tops(settings) if path.is_dir() and is_own_folder(path)]
    note = settings.annals_home / _NOTE
    done = {"mode": settings.state_mode, "folders": [str(path) for path in tops]}
    was_open = [close(path, bits) for path in tops]
    buffer = settings.sqlite_path
    for suffix in _BUFFER_FILES:
        close(buffer.with_name(buffer.name + suffix), bits)
    close(settings.warehouse_file, bits)
    if not tops or (not any(was_open) and _noted(note) == done):
        return
    for top in tops:
        for path in walk(top):
            close(path, bits)
    with contextlib.suppress(OSError):
        replace_text(note, json.dumps(done))


def _noted(note: Path) -> object:
    try:
        return parse_json(read_state_text(note))
    except (OSError, ValueError, AnalyticsError):
        return None


def _tops(settings: Settings) -> list[Path]:
    """Return the folders that hold nothing but state."""
    tops = [settings.annals_home, settings.lake_folder, settings.builds_folder]
    folder = settings.sqlite_path.parent
    if folder.name == ".claude-sync":  # the default; another folder may hold other things
        tops.append(folder)
    return list(dict.fromkeys(tops))


def is_own_folder(path: Path) -> bool:
    """Return whether a folder can be for the state alone: not a home, the root or a shared one."""
    status = path.stat()
    known = {Path("/"), Path(os.path.expanduser("~"))}  # noqa: PTH111 -- never raises
    return not status.st_mode & stat.S_ISVTX and path not in known


def walk(top: Path) -> Iterator[Path]:
    """Yield everything below ``top`` that is a regular file or a folder; follow no links."""
    with contextlib.suppress(OSError), os.scandir(top) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)
                yield from walk(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield Path(entry.path)


def close(path: Path, bits: int) -> bool:
    """Take these permission bits from a file or folder of ours; return whether it had any.

    A refusal is not a failure: `annals doctor` names what stays open.
    """
    with contextlib.suppress(OSError):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode) or not status.st_mode & bits:
            return False
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags)
        try:
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & ~bits)
        finally:
            os.close(descriptor)
        return True
    return False


def open_paths(settings: Settings, *, limit: int) -> list[Path]:
    """Return paths of the state that others may reach, looking at ``limit`` of them at most."""
    bits = _PRIVATE_BITS if settings.state_mode == "private" else _GROUP_BITS
    buffer = settings.sqlite_path
    files = [buffer.with_name(buffer.name + suffix) for suffix in _BUFFER_FILES]
    candidates = [*files, settings.warehouse_file, *_tops(settings)]
    for top in _tops(settings):
        for path in walk(top):
            candidates.append(path)
            if len(candidates) >= limit:
                break
    found = []
    for path in dict.fromkeys(candidates):
        with contextlib.suppress(OSError):
            status = path.lstat()
            if status.st_mode & bits and not stat.S_ISLNK(status.st_mode):
                found.append(path)
    return found


def shared_folders(settings: Settings) -> list[Path]:
    """Return folders on the way to the state in which others may replace what is there."""
    bits = stat.S_IWOTH if settings.state_mode == "group" else stat.S_IWOTH | stat.S_IWGRP
    found = []
    for top in [*_tops(settings), settings.sqlite_path.parent]:
        for folder in (top, *top.parents):
            with contextlib.suppress(OSError):
                status = folder.stat()
                if status.st_mode & bits and not status.st_mode & stat.S_ISVTX:
                    found.append(folder)
                if folder == settings.sqlite_path.parent and status.st_mode & stat.S_ISVTX:
                    found.append(folder)
    return list(dict.fromkeys(found))
