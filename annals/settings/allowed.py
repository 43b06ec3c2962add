"""``allowed.json`` beside the buffer: the places off this machine that data may go to.

Entries come from ``annals sync allow``, from a question that was answered, and from the first
records that a place acknowledged.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from annals.errors import SettingsError
from annals.files import make_folder
from annals.limits import parse_json
from annals.settings.addresses import Destination, parse_destination
from annals.settings.model import Settings

How = Literal["command", "answer", "acknowledged"]
_MAX_BYTES = 256 * 1024
_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class AllowedPlace:
    """One entry: ``destination`` as HOST[:PORT][/NAME], how it was allowed, and when."""

    destination: str
    how: str
    at: str


def allowed_file(settings: Settings) -> Path:
    """Return the file, which lies beside the buffer that the records come from."""
    return settings.sqlite_path.with_name("allowed.json")


def allowed_places(settings: Settings) -> list[AllowedPlace]:
    """Return every entry; none without the file.

    Raises SettingsError (exit 3) for a file that is damaged, a link, or not ours alone to change.
    """
    path = allowed_file(settings)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _refusal(path, f"cannot be read: {error.strerror}") from error
    try:
        found = os.fstat(descriptor)
        is_ours = found.st_uid in (os.geteuid(), 0) and not found.st_mode & stat.S_IWOTH
        if not stat.S_ISREG(found.st_mode) or not is_ours or found.st_size > _MAX_BYTES:
            raise _refusal(path, "is not a small regular file that you alone may change")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(_MAX_BYTES)
    finally:
        os.close(descriptor)
    try:
        entries = [AllowedPlace(**entry) for entry in parse_json(content)["allowed"]]
        for entry in entries:
            parse_destination(entry.destination)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _refusal(path, "is damaged") from error
    return entries


def add_allowed(settings: Settings, destination: Destination, how: How) -> bool:
    """Allow a place; return False where it was allowed already.

    Raises SettingsError (exit 3) where the file cannot be written.
    """
    with _changing(settings) as entries:
        if any(entry.destination == str(destination) for entry in entries):
            return False
        at = datetime.now(UTC).isoformat(timespec="seconds")
        _write(allowed_file(settings), [*entries, AllowedPlace(str(destination), how, at)])
    return True


def remove_allowed(settings: Settings, destination: Destination) -> bool:
    """Take an entry away; return False where there was none."""
    with _changing(settings) as entries:
        kept = [entry for entry in entries if entry.destination != str(destination)]
        if len(kept) < len(entries):
            _write(allowed_file(settings), kept)
    return len(kept) < len(entries)


@contextlib.contextmanager
def _changing(settings: Settings) -> Iterator[list[AllowedPlace]]:
    """Give the body the entries, while no other process changes them."""
    path = allowed_file(settings)
    try:
        make_folder(path.parent, mode=0o700, named=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(OSError):  # some network file systems lock no folders
                fcntl.flock(folder, fcntl.LOCK_EX)
            yield allowed_places(settings)
        finally:
            os.close(folder)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}",
            hint="Make its folder writable, or list the place in ALLOW_DESTINATIONS.",
            path=path,
        ) from error


def _write(path: Path, entries: list[AllowedPlace]) -> None:
    """Replace the file at once, private from the beginning."""
    body = {"schema_version": 1, "allowed": [asdict(entry) for entry in entries]}
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(half, flags, _PRIVATE), "w", encoding="utf-8") as file:
        file.write(json.dumps(body, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def _refusal(path: Path, why: str) -> SettingsError:
    return SettingsError(
        f"the list of allowed destinations {path} {why}",
        hint="Remove it, then run `annals sync allow HOST[:PORT]/DATABASE` for each place.",
        path=path,
    )
