"""Writes transcripts where they were, or elsewhere; nothing that is there is ever changed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from annals.errors import ConflictError, DiskFullError, SettingsError, UsageError
from annals.files import create_whole, make_folder, open_state_file
from annals.records.identity import original_name
from annals.settings import Settings
from operations.transcripts.assembly import Transcript
from operations.transcripts.kept import Custody

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class Outcome(StrEnum):
    """What became of one transcript."""

    RESTORED = "restored"
    WOULD_RESTORE = "would restore"
    ALREADY_THERE = "already there"
    GROWN = "there, and longer"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a transcript goes."""

    transcript: Transcript
    path: Path


@dataclass(frozen=True, slots=True)
class Placed:
    """One transcript of a session, and what became of it."""

    file_key: str
    path: str
    size: int
    outcome: str
    proof: str
    doubt: str
    lost_bytes: int


def places_of(
    transcripts: Iterable[Transcript],
    settings: Settings,
    *,
    folder: Path | None,
    mapping: tuple[str, str] | None,
) -> list[Place]:
    """Return where the transcripts go: below ``folder``, else where they were read from.

    ``mapping`` replaces the beginning of a path, of another machine for one. Raises UsageError
    (exit 2) for a path that is below none of the watched folders, or leaves its own.
    """
    return [
        Place(one, _below(folder, one) if folder else _original(one, settings, mapping))
        for one in transcripts
    ]


def place_all(
    custody: Custody, places: Sequence[Place], *, roots: Sequence[Path], is_dry: bool
) -> list[Placed]:
    """Write all transcripts that are not there, after a look at every place.

    Raises ConflictError (exit 8) if a file of other content is there, SettingsError (exit 3) for a
    link on the way, DiskFullError (exit 10): then nothing half written is left.
    """
    outcomes = []
    for place in places:
        with _naming_the_disk(place.path):
            outcomes.append(_outcome(custody, place, roots))
    for place, outcome in zip(places, outcomes, strict=True):
        if outcome is Outcome.RESTORED and not is_dry:
            _write(custody, place)
    return [
        _placed(place, Outcome.WOULD_RESTORE if is_dry and outcome is Outcome.RESTORED else outcome)
        for place, outcome in zip(places, outcomes, strict=True)
    ]


def _placed(place: Place, outcome: Outcome) -> Placed:
    one = place.transcript
    return Placed(
        one.file_key,
        str(place.path),
        one.size,
        outcome.value,
        one.proof,
        one.doubt,
        one.lost_bytes,
    )


def _below(folder: Path, transcript: Transcript) -> Path:
    parts = [_native(transcript.project_id), *_native(transcript.file_key).split("/")]
    _require_plain(parts, transcript.file_key)
    return folder.joinpath(*parts)


def _original(transcript: Transcript, settings: Settings, mapping: tuple[str, str] | None) -> Path:
    path = _native(transcript.file_path)
    if mapping:
        before, after = (one.rstrip("/") for one in mapping)
        if path == before or path.startswith(f"{before}/"):
            path = after + path[len(before) :]
    _require_plain(path.split("/")[1:], transcript.file_key)
    roots = settings.claude_dirs
    if not any(Path(path).is_relative_to(root) for root in roots):
        raise UsageError(
            f"{path} is below none of {', '.join(map(str, roots))}",
            hint="Give --map FROM=TO for a path of another machine, or --to FOLDER.",
        )
    return Path(path)


def _native(name: str) -> str:
    """Return the name that a file had; one that was not UTF-8 is kept escaped."""
    return os.fsdecode(original_name(name)) if "\\x" in name and name.isascii() else name


def _require_plain(parts: Iterable[str], key: str) -> None:
    """Raise UsageError for a path that could lead elsewhere: what records say is not believed."""
    if any(part in ("", ".", "..") or "/" in part or "\0" in part for part in parts):
        raise UsageError(
            f"the path of {key!r} has a part that is not a name",
            hint="Give --to FOLDER with another session, or run `annals validate --deep`.",
        )


def _outcome(custody: Custody, place: Place, roots: Sequence[Path]) -> Outcome:
    _require_no_links(place.path, roots)
    try:
        status = place.path.lstat()
    except FileNotFoundError:
        return Outcome.RESTORED
    if not stat.S_ISREG(status.st_mode):
        raise SettingsError(
            f"{place.path} is not a regular file",
            hint="Move it away, or give --to FOLDER.",
            path=place.path,
        )
    if status.st_size >= place.transcript.size and _begins_with(custody, place):
        is_longer = status.st_size > place.transcript.size
        return Outcome.GROWN if is_longer else Outcome.ALREADY_THERE
    raise ConflictError(
        f"{place.path} is there, with other content ({status.st_size:,} bytes)",
        hint="It is left as it is: move it away, or restore with --to FOLDER.",
        path=place.path,
    )


def _begins_with(custody: Custody, place: Place) -> bool:
    """Return whether the file that is there begins with the transcript."""
    with os.fdopen(open_state_file(place.path, os.O_RDONLY), "rb") as file:
        return all(file.read(len(piece)) == piece for piece in place.transcript.pieces(custody))


def _require_no_links(path: Path, roots: Sequence[Path]) -> None:
    """Raise SettingsError for a link between one of the roots and the file."""
    root = next((one for one in roots if path.is_relative_to(one)), path.parent)
    for folder in path.parents:
        if folder == root or not folder.is_relative_to(root):
            return
        if folder.is_symlink():
            raise SettingsError(
                f"{folder} is a symbolic link, and transcripts are restored through none",
                hint="Remove the link, or give --to FOLDER.",
                path=folder,
            )


def _write(custody: Custody, place: Place) -> None:
    with _naming_the_disk(place.path):
        make_folder(place.path.parent)
        with create_whole(place.path) as file:
            for piece in place.transcript.pieces(custody):
                file.write(piece)


@contextlib.contextmanager
def _naming_the_disk(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise ConflictError(
            f"{path} appeared meanwhile",
            hint="It is left as it is. Run the same command again.",
            path=path,
        ) from error
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise DiskFullError(
                f"no space left for {path}",
                hint="Make room, then run the same command again: nothing half written is left.",
                path=path,
            ) from error
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}",
            hint="Check its folder, or give --to FOLDER.",
            path=path,
        ) from error
