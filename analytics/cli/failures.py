"""What went wrong, for people and for programs: one message, one hint, one exit code."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from dataclasses import dataclass

from annals.errors import AnalyticsError, IntegrityError, SettingsError
from annals.secrecy import hide
from annals.text import json_text, one_line

_OWN = (
    *("analytics", "operations", "flows", "reports", "sync_agent", "extractors", "loaders"),
    "annals",
)
_USAGE = 2
_DISK_FULL = 10
_DISK_FULL_NUMBERS = {errno.ENOSPC, errno.EDQUOT}
_NOT_WRITABLE_NUMBERS = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_KIND_NUMBERS = {
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
}
_ENCODING_HINT = "Name folders and save text files in UTF-8."
_TOO_MANY_NUMBERS = {errno.EMFILE, errno.ENFILE}
_NOT_WRITABLE_CODES = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it is shown: ``envelope`` has ``error``, ``message``, ``hint``, ``context``."""

    exit_code: int
    envelope: dict[str, object]

    def show(self, *, as_json: bool) -> None:
        """Write the failure to standard error."""
        if as_json:
            body = {"schema_version": 1, "exit_code": self.exit_code, **self.envelope}
            sys.stderr.write(json_text(body) + "\n")
            return
        for name, key in (("error", "message"), ("hint", "hint")):
            sys.stderr.write(one_line(f"{name}: {self.envelope[key]}") + "\n")


def failure_of(error: BaseException) -> Failure:  # noqa: PLR0911 -- one case a line
    """Return how ``error`` is shown; anything not foreseen is exit 1 and called a defect."""
    if isinstance(error, AnalyticsError):
        return Failure(error.exit_code, error.as_dict())
    if hasattr(error, "format_message"):  # the command line parser's own family
        return _failure(_USAGE, "UsageError", error.format_message(), hint=_usage_hint(error))
    if _is_disk_full(error):
        return _failure(
            _DISK_FULL,
            "DiskFullError",
            f"no space left: {error}",
            hint="Make space and run the same command again; all that was committed is kept.",
        )
    if _is_not_writable(error):
        return _failure(
            1,
            type(error).__name__,
            f"not permitted: {error}",
            hint="Set ANNALS_HOME and SQLITE_PATH to places that you may write.",
        )
    if isinstance(error, UnicodeError):
        what = f"text or a file name is not in the encoding that is needed: {str(error)!a}"
        return _failure(1, type(error).__name__, what, hint=_ENCODING_HINT)
    if _is_of_a_build(error):
        return _build_failure(error)
    return _other_failure(error)


def _other_failure(error: BaseException) -> Failure:
    """Return the failure for an error of the system, of an import, or of an unforeseen kind."""
    if isinstance(error, ModuleNotFoundError) and _is_of_others(error):
        return _failure(
            SettingsError.exit_code,
            "SettingsError",
            f"the package {error.name} is not installed in this environment",
            hint="Run `make install` in the checkout, or install the wheel with its dependencies;"
            " `make agent` installs the sync agent alone.",
        )
    if isinstance(error, OSError) and error.errno is not None:
        return _failure(1, type(error).__name__, _system_message(error), hint=_system_hint(error))
    return _failure(
        1,
        type(error).__name__,
        f"unexpected {type(error).__name__}: {error}",
        hint="This is a defect. Run again with LOG_LEVEL=debug to see where, and report it.",
    )


def _is_of_others(error: ModuleNotFoundError) -> bool:
    """Return whether the missing module is of a package that Annals needs, not its own."""
    return (error.name or "").partition(".")[0] not in {"", *_OWN}


def _failure(exit_code: int, name: str, message: str, *, hint: str) -> Failure:
    return Failure(
        exit_code, {"error": name, "message": hide(message), "hint": hint, "context": {}}
    )


def _system_message(error: OSError) -> str:
    """Return which path failed, and how the system names the cause."""
    paths = [str(path) for path in (error.filename, error.filename2) if path is not None]
    where = " and ".join(paths) or "the system refused a call"
    return f"{where}: {error.strerror or os.strerror(error.errno or 0)}"


def _system_hint(error: OSError) -> str:
    if error.errno in _WRONG_KIND_NUMBERS:
        return (
            "Remove what lies at this path, or set the path of the setting that leads there to a"
            " folder; `annals config show --origin` lists them."
        )
    if error.errno in _TOO_MANY_NUMBERS:
        return "Raise the limit of open files (`ulimit -n`), or end other programs."
    return "Check this path, its disk and its permissions; `annals doctor` names what is wrong."


def _usage_hint(error: BaseException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "annals"
    return f"See `{command} --help`."


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and all that led to it."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
        chain.append(cause)
    return chain


def _is_disk_full(error: BaseException) -> bool:
    return any(
        getattr(cause, "errno", None) in _DISK_FULL_NUMBERS
        or _sqlite_code(cause) == sqlite3.SQLITE_FULL
        for cause in _causes(error)
    )


def _build_failure(error: BaseException) -> Failure:
    if type(error).__name__ == "OutOfMemoryException":
        return _failure(
            1,
            "WarehouseError",
            f"the query needs more memory than its limit: {error}",
            hint="Set DUCKDB_MEMORY_LIMIT to more, such as 2GB, or ask for less at once.",
        )
    return _failure(
        IntegrityError.exit_code,
        "WarehouseDamageError",
        f"the published build cannot be read: {error}",
        hint="Run `annals pipeline`; it publishes a new build.",
    )


def _is_of_a_build(error: BaseException) -> bool:
    """Tell an error of DuckDB's own classes: commands query nothing outside a published build."""
    return type(error).__module__ in ("duckdb", "_duckdb")


def _is_not_writable(error: BaseException) -> bool:
    return (
        getattr(error, "errno", None) in _NOT_WRITABLE_NUMBERS
        or _sqlite_code(error) in _NOT_WRITABLE_CODES
    )


def _sqlite_code(error: BaseException) -> int | None:
    """Return SQLite's primary result code, which is the low byte of the extended one."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
