"""DuckDB's errors as errors of our tree: locks, limits, damage, files of the lake.

What decides is the class of an exception, an errno, a status of HTTP, or a look at the file itself
(``loaders.file_probes``). DuckDB's sentences are shown, and name the file to look at.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb

from annals.errors import (
    AnalyticsError,
    DiskFullError,
    LockedError,
    SettingsError,
    WarehouseDamageError,
    WarehouseError,
)
from annals.lake import has_keys, is_elsewhere, object_store_fault, unset_object_store
from annals.lake.checksums import damaged_file
from annals.lake.places import rest_properties
from annals.lake.store import OK, Answer, ask_store
from annals.settings import Settings
from loaders.file_probes import (
    has_room,
    is_damaged_parquet,
    is_newer_database,
    lock_holder,
    read_fault,
)
from loaders.memory import lacks_room, spill_folder
from loaders.moved_build import CATALOG

_MEMORY_USED = re.compile(r"/(?P<limit>[\d.]+ [KMGT]?i?B) used\)")
_FILE = re.compile(r"""["'](?P<path>[^"']+\.parquet)["']""")
_ADDRESS = re.compile(r"""(?:s3[an]?|https?)://[^"'\s]+""")
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_EXTENSION = {"Extension Autoloading", "Missing Extension"}
_FROM_A_FILE = (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException)
"""What DuckDB raises at a file of Parquet that is missing or damaged."""

REBUILD_HINT = "Delete that file; `annals pipeline` rebuilds it from the lake."
NAMED_HINT = "Correct the cause that DuckDB names above."


@dataclass(frozen=True, slots=True)
class Fault:
    """An exception of DuckDB, taken apart: its sentence, its type in DuckDB's words, its errno.

    A connection with ``errors_as_json`` says all three by name; of others the class is known.
    """

    error: BaseException
    text: str
    kind: str
    number: int | None

    @classmethod
    def of(cls, error: BaseException) -> Fault:
        """Return the fault of an exception."""
        text = str(error)
        start = text.find("{")
        details = _details(text[start:]) if start >= 0 else {}
        if not details:
            return cls(error, text, "", getattr(error, "errno", None))
        number = str(details.get("errno", ""))
        return cls(
            error,
            text[:start] + str(details.get("exception_message", "")),
            str(details["exception_type"]),
            int(number) if number.isdecimal() else None,
        )

    @property
    def line(self) -> str:
        """The first line of the sentence."""
        return self.text.strip().splitlines()[0] if self.text.strip() else "no message"


def _details(text: str) -> dict[str, Any]:
    try:
        found, _ = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and "exception_type" in found else {}


def database_fault(error: BaseException) -> BaseException:
    """Return the exception of DuckDB or of the system that led to ``error``, else itself."""
    return next((one for one in _chain(error) if isinstance(one, duckdb.Error | OSError)), error)


def is_of_database(error: BaseException) -> bool:
    """Return whether DuckDB or the system raised this."""
    return isinstance(error, duckdb.Error | OSError)


def quotes_values(error: BaseException) -> bool:
    """Return whether the sentence of this error quotes values from the data."""
    return isinstance(error, duckdb.DataError | duckdb.InvalidInputException)


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def error_for(
    path: Path | str, error: BaseException, *, settings: Settings | None = None
) -> AnalyticsError:
    """Return the error of our tree that an exception about ``path`` means.

    By ``settings`` a limit of memory is told from one of the room for what memory cannot hold.
    """
    cause = database_fault(error)
    fault = Fault.of(cause)
    if refused := _refused_place(path, fault, settings):
        return refused
    if isinstance(cause, duckdb.OutOfMemoryException | MemoryError):
        return _limit_error(path, fault, settings)
    if isinstance(cause, duckdb.HTTPException):
        answer = Answer.of(cause.status_code, cause.body or "")
        return object_store_fault(answer, _address(fault) or path, fault.line)
    if fault.kind in _NO_EXTENSION:  # the one that files in an object store need
        return unset_object_store(path)
    if isinstance(cause, _FROM_A_FILE):
        return _file_error(path, fault, settings)
    return _unexplained(path, fault)


def opening_error(path: Path, error: duckdb.Error, *, read_only: bool) -> AnalyticsError | None:
    """Return why the database at ``path`` cannot be opened; None if only damage is left as cause.

    DuckDB has one class for all of it, and no number: so the file itself is looked at. Only for a
    file that this process has not opened: closing it here would end DuckDB's lock on it.
    """
    fault = Fault.of(error)
    if not isinstance(error, duckdb.IOException | duckdb.SerializationException):
        known = error_for(path, error)
        return known if type(known) is not WarehouseError or not _is_usable(path) else None
    if holder := lock_holder(path, shared=read_only):
        return LockedError(
            f"the warehouse {path} is held open by {holder}",
            hint="Close it there, or wait; to read, open the published build instead.",
            path=path,
            pid=holder.pid,
        )
    if not read_only and not has_room(path.parent):
        return _no_space(path)
    if is_newer_database(path):
        return WarehouseError(
            f"{path} cannot be used: a newer DuckDB wrote it ({fault.line})",
            hint=REBUILD_HINT,
            path=path,
            newer=True,
        )
    is_open_to_us = os.access(path, os.R_OK if read_only else os.R_OK | os.W_OK)
    if not path.is_file() or not is_open_to_us or read_fault(path):
        return _unexplained(path, fault)
    return None


def _is_usable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.R_OK) and read_fault(path) is None


def damaged_database(path: Path | str, why: str) -> WarehouseDamageError:
    """Return the error for a DuckDB file that is damaged; it is made from the lake."""
    return WarehouseDamageError(
        f"{path} is damaged: {why}",
        hint="Run `annals pipeline`; it sets the file aside and makes it again from the lake.",
        path=path,
        damaged=True,
    )


def parquet_error(path: str, error: duckdb.Error) -> AnalyticsError:
    """Return the error for whatever DuckDB raised while it read this one file of the lake."""
    fault = Fault.of(error)
    known = error_for(path, error)
    if isinstance(known, DiskFullError) or fault.kind in _NO_EXTENSION:
        return known
    return damaged_file(path, fault.line)


def is_of_store(path: str, error: duckdb.Error) -> bool:
    """Return whether an object store may be the cause, and not the content of its file."""
    return "://" in path and isinstance(error, duckdb.IOException)


def _file_error(path: Path | str, fault: Fault, settings: Settings | None) -> AnalyticsError:
    """Return the error for a file that could not be read or written: Parquet, or the database."""
    if (address := _address(fault)) and isinstance(fault.error, duckdb.IOException):
        return _store_error(address, fault, settings)
    for found in _FILE.finditer(fault.text):
        file = found["path"]
        if fault.number in _FORBIDDEN:
            return _forbidden(file, fault)
        if fault.number is not None or "://" in file or is_damaged_parquet(file):
            return _damaged_parquet(file, fault)
    if fault.number is not None or isinstance(fault.error, duckdb.InvalidInputException):
        return _unexplained(path, fault)
    if not has_room(Path(path).parent):  # a database that is attached has no number either
        return _no_space(path)
    # No number of the system, and no other file: DuckDB found its own blocks not as it wrote them.
    return damaged_database(path, fault.line) if Path(path).is_file() else _unexplained(path, fault)


def _store_error(address: str, fault: Fault, settings: Settings | None) -> AnalyticsError:
    """Return the error for an object that could not be read, without any status of HTTP.

    DuckDB has one class for a store that is away and for an answer that is cut: so the store is
    asked, with the keys of the settings. One that is well has a damaged file.
    """
    answer = Answer(None)
    if settings is not None and has_keys(settings) and is_elsewhere(settings):
        location = _location(address, is_path_style=settings.s3_path_style)
        answer = ask_store(rest_properties(settings), location)
    if answer == Answer(OK):
        return damaged_file(address, fault.line)
    return object_store_fault(answer, address, fault.line)


def _location(address: str, *, is_path_style: bool) -> str:
    """Return the location of an object's folder, also if the object is named by its URL."""
    parts = urlsplit(address)
    place = f"{parts.netloc}{parts.path}"
    if parts.scheme in ("http", "https"):
        bucket = "" if is_path_style else (parts.hostname or "").partition(".")[0]
        place = f"{bucket}{parts.path}".lstrip("/")
    return f"s3://{place.rpartition('/')[0]}"


def _address(fault: Fault) -> str | None:
    found = _ADDRESS.search(fault.text)
    return found[0] if found else None


def _damaged_parquet(path: str, fault: Fault) -> AnalyticsError:
    """Return the error for a Parquet file, which is the lake's or one of a published build."""
    if not Path(path).with_name(CATALOG).exists():
        return damaged_file(path, fault.line)
    return WarehouseDamageError(
        f"the build's file {path} is damaged: {fault.line}",
        hint="Run `annals validate --deep`, then `annals pipeline`, which publishes a whole build.",
        path=path,
    )


def _forbidden(path: str, fault: Fault) -> WarehouseError:
    return WarehouseError(
        f"{path} cannot be used: {fault.line}",
        hint="Check that this user may read and write that file and the folder it is in.",
        path=path,
    )


def _no_space(path: Path | str) -> DiskFullError:
    return DiskFullError(
        f"no space left while writing {path}",
        hint="Make room and run the command again; what was committed before is kept.",
        path=path,
    )


def _refused_place(
    path: Path | str, fault: Fault, settings: Settings | None
) -> AnalyticsError | None:
    """Return the error for a full disk, or for the folder of what memory cannot hold."""
    folder = spill_folder(settings) if settings is not None else None
    if folder is None or fault.number is None or f'"{folder}' not in fault.text:
        return _no_space(path) if fault.number in _NO_SPACE else None
    if fault.number in _NO_SPACE:
        return _no_spill_room(folder, fault)
    return SettingsError(
        f"DuckDB cannot write to {folder}, where it puts what memory cannot hold:"
        f" {os.strerror(fault.number)}",
        hint="Set DUCKDB_SPILL_PATH to a folder that this user may write to, or let"
        " DUCKDB_MEMORY_LIMIT be higher. What was committed before is kept.",
        path=folder,
    )


def _no_spill_room(path: Path | str, fault: Fault) -> DiskFullError:
    return DiskFullError(
        f"no room for what memory cannot hold while writing {path}: {fault.line}",
        hint="Set DUCKDB_SPILL_PATH to a folder with more room or DUCKDB_SPILL_LIMIT to more,"
        " or let DUCKDB_MEMORY_LIMIT be higher. What was committed before is kept.",
        path=path,
    )


def _limit_error(path: Path | str, fault: Fault, settings: Settings | None) -> AnalyticsError:
    """Return the error for a limit of memory, or of what is put on a disk in its place."""
    used = _MEMORY_USED.search(fault.text)
    limit = used["limit"] if used else "DUCKDB_MEMORY_LIMIT"
    if settings is not None and lacks_room(settings):
        return _no_spill_room(spill_folder(settings), fault)
    return WarehouseError(
        f"DuckDB needs more memory than its limit ({limit}) for {path}",
        hint="Set DUCKDB_MEMORY_LIMIT to more, such as 2GB; DUCKDB_THREADS=1 needs less. Nothing"
        " is lost, and the next run begins where this one did.",
        path=path,
        limit=limit,
    )


def _unexplained(path: Path | str, fault: Fault) -> WarehouseError:
    cause = fault.error
    if isinstance(cause, OSError):
        what = f"{cause.strerror or cause}: {cause.filename or path}"
        return WarehouseError(f"{path} cannot be used: {what}", hint=NAMED_HINT, path=path)
    return WarehouseError(f"{path} cannot be used: {fault.line}", hint=NAMED_HINT, path=path)
