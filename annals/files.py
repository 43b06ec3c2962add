"""State files: opened without following links, private from the first byte, replaced as a whole.

Every lock, log, note and temporary file that Annals writes by a name it knows is opened here, so
that a link, a FIFO or a file of another user in its place is refused by name. Folders that a
setting names may be links of the user's own; folders that Annals makes below them may not.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from annals.errors import AnalyticsError, SettingsError
from annals.limits import STATE_BYTES, read_bounded

PRIVATE_UMASK = 0o077
GROUP_UMASK = 0o007

_SAFE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_DATABASE_FILES = ("", "-wal", "-shm", "-journal", ".wal")
_ANY_MODE = 0o666
"""The umask takes away what the group and others must not have."""

_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)
_shared = False


def set_umask(*, group: bool | None = None) -> None:
    """Make every file of this process private to its user or, with ``group``, to its group.

    Without an argument the variable STATE_MODE decides: programs call this before they read any
    settings. The umask that the process was started with is not taken into account.
    """
    global _shared  # noqa: PLW0603 -- as the umask itself: one for the process
    if group is None:
        group = os.environ.get("STATE_MODE", "").strip().lower() == "group"
    _shared = group
    os.umask(GROUP_UMASK if group else PRIVATE_UMASK)


def is_shared() -> bool:
    """Return whether the state belongs to a group (STATE_MODE=group) rather than to one user."""
    return _shared


def folder_mode() -> int:
    """Return the mode of a folder that we make."""
    return 0o770 if _shared else 0o700


def file_mode() -> int:
    """Return the mode of a file that we make."""
    return 0o660 if _shared else 0o600


def make_database(path: Path) -> Path:
    """Make an empty file for a database where none is, and return its path.

    SQLite itself makes files that a group may only read, and gives its logs the database's mode.
    """
    with contextlib.suppress(FileExistsError):
        os.close(create_file(path))
    return path


def make_folder(path: Path, *, mode: int = 0o777, named: bool = False) -> Path:
    """Make a folder with all that is above it, and return it.

    A folder that a setting names (``named``) may be a link of this user or of root, as those above
    it may. One that Annals names itself may not, and belongs to this user. Raises SettingsError
    (exit 3) for anything else that has the name, a link of another user above it included, and
    NotADirectoryError if a folder that a setting names is something else.
    """
    for folder in (*reversed(path.parents), path):
        status = _made(folder, mode)
        if stat.S_ISLNK(status.st_mode) and (named or folder != path):
            _require_own_link(folder, status)
        elif not stat.S_ISDIR(status.st_mode):
            if named:  # the caller knows the setting
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
            raise _wrong_kind(folder, status.st_mode, wanted="a folder")
    if not named:
        _require_owner(path, status)
    return path


def _made(folder: Path, mode: int) -> os.stat_result:
    """Return what is at a path, which is a new folder if nothing was."""
    try:
        return folder.lstat()
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode)
        return folder.lstat()


def _require_own_link(path: Path, status: os.stat_result) -> None:
    """Raise SettingsError for a link of another user, or one that leads to no folder."""
    if status.st_uid not in (0, os.geteuid()):
        raise foreign(path, status)
    if not path.is_dir():
        raise _wrong_kind(path, status.st_mode, wanted="a folder")


def open_state_file(path: Path, flags: int) -> int:
    """Open a regular file of ours, and return its descriptor.

    Raises SettingsError (exit 3) for a link, a FIFO, a device and, unless it is only read, a file
    of another user or one that has a second name; OSError for everything else that goes wrong.
    """
    is_read = flags & os.O_ACCMODE == os.O_RDONLY
    try:
        descriptor = os.open(path, flags | _SAFE, _ANY_MODE)
    except OSError as error:
        require_state_file(path, is_read=is_read)
        raise error from None
    try:
        _require_ordinary(path, os.fstat(descriptor), is_read=is_read)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def require_state_file(path: Path, *, is_read: bool = False) -> None:
    """Raise SettingsError unless ``path`` is a regular file of ours or does not exist.

    For files that a library opens by their name, such as a database.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        _require_ordinary(path, path.lstat(), is_read=is_read)


def require_database(path: Path) -> None:
    """Raise SettingsError unless a database (SQLite, DuckDB) and the files beside it are ours."""
    for suffix in _DATABASE_FILES:
        require_state_file(path.with_name(path.name + suffix))


def require_plain_tree(folder: Path) -> None:
    """Raise SettingsError for the first entry below ``folder`` that is not ours and plain.

    For folders that a library fills with files of names that anybody can guess.
    """
    for entry in _entries(folder):
        status = entry.stat(follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            _require_ordinary(Path(entry.path), status)
        else:
            _require_owner(Path(entry.path), status)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path))


def read_state_text(path: Path, *, limit: int = STATE_BYTES) -> str:
    """Return the text of a state file.

    Raises as :func:`open_state_file`, and ValueError for more than ``limit`` bytes or other text.
    """
    with os.fdopen(open_state_file(path, os.O_RDONLY), "rb") as file:
        return read_bounded(file, limit=limit).decode("utf-8")


def open_log(path: Path) -> None:
    """Make the log file at ``path`` if it does not exist; raise as :func:`open_state_file`."""
    os.close(open_state_file(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT))


def create_file(path: Path) -> int:
    """Make a file that does not exist yet, and return its descriptor; raise FileExistsError."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFE, _ANY_MODE)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write a file beside ``path`` under a random name, and put it there as a whole at the end.

    It is on stable storage before it takes the name. If the body raises, nothing is left of it.
    """
    half = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
    with os.fdopen(create_file(half), "wb") as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            half.replace(path)
        except BaseException:
            half.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def create_whole(path: Path) -> Iterator[IO[bytes]]:
    """Write a file beside ``path``, and give it that name at the end if nothing has it.

    It is on stable storage before it takes the name. Raises FileExistsError if something has the
    name; then, and if the body raises, nothing is left of it.
    """
    half = path.with_name(f".{path.name[:200]}.{os.urandom(8).hex()}.tmp")
    with os.fdopen(create_file(half), "wb") as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.link(half, path, follow_symlinks=False)
        finally:
            half.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_text(path: Path, text: str) -> None:
    """Put a file with this text in the place of ``path``, as a whole."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def owner_name(uid: int) -> str:
    """Return how a user is named: ``dev (uid 1000)``, or ``uid 1000`` if nobody has that number."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def foreign(path: Path, status: os.stat_result, *, folder: Path | None = None) -> AnalyticsError:
    """Return the one error for a path that this user may not use.

    ``folder`` is what the remedy names, by default the path itself.
    """
    me, owner = os.geteuid(), status.st_uid
    mode = stat.S_IMODE(status.st_mode)
    if owner == me:
        return SettingsError(
            f"{path} has mode {mode:04o}, with which its owner {owner_name(me)} cannot use it",
            hint=f"Run `chmod -R u+rwX {folder or path}`.",
            path=path,
        )
    return SettingsError(
        f"{path} belongs to {owner_name(owner)}, mode {mode:04o}, and {owner_name(me)} runs this"
        " command",
        hint=f"Run `sudo chown -R {_account(me)} {folder or path}`, or run the command as"
        f" {_account(owner)}.",
        path=path,
    )


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _require_ordinary(path: Path, status: os.stat_result, *, is_read: bool = False) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _wrong_kind(path, status.st_mode, wanted="a regular file")
    if is_read:
        return
    _require_owner(path, status)
    if status.st_nlink > 1:
        raise SettingsError(
            f"{path} is one of {status.st_nlink} names of the same file, and state files have one",
            hint=f"Run `rm {path}` if the other name is not yours to change, then try again.",
            path=path,
        )


def _require_owner(path: Path, status: os.stat_result) -> None:
    if not _shared and status.st_uid != os.geteuid():
        raise foreign(path, status)


def _wrong_kind(path: Path, mode: int, *, wanted: str) -> AnalyticsError:
    kind = next((name for matches, name in _KINDS if matches(mode)), "a file")
    return SettingsError(
        f"{path} is {kind}, and Annals uses only {wanted} there, without following links",
        hint=f"Run `rm {path}` (or move it away), and keep the state in a folder that only you may"
        " write: ANNALS_HOME, SQLITE_PATH.",
        path=path,
    )


def set_aside(path: Path) -> Path:
    """Rename a damaged file; return its new name, which no program looks for."""
    kept = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
    path.rename(kept)
    return kept
