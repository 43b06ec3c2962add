"""Errors as people and programs see them: message, hint, exit code, and where they go."""

from __future__ import annotations

import errno
import json
import os
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from analytics.cli.failures import failure_of
from annals import errors
from examples.generator import write_plain, write_sample
from tests.conftest import Built, Run, clean_environment


def _sqlite_error(code: int) -> sqlite3.OperationalError:
    """Return an error as SQLite raises it, with a sentence that says nothing."""
    error = sqlite3.OperationalError("it did not work")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.SettingsError("m", hint="h"), 3),
        (errors.LockedError("m", hint="h"), 7),
        (errors.SourceGapError("m", hint="h"), 9),
        (OSError(errno.ENOSPC, "No space left on device"), 10),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 10),
        (_sqlite_error(sqlite3.SQLITE_FULL), 10),
        (_sqlite_error(sqlite3.SQLITE_READONLY_DIRECTORY), 1),
        (PermissionError(errno.EACCES, "Permission denied"), 1),
        (KeyError("surprise"), 1),
    ],
)
def test_every_error_has_an_exit_code_a_message_and_a_hint(error: Exception, code: int) -> None:
    """Ours, the system's and unforeseen errors all become an exit code, a message and a hint."""
    failure = failure_of(error)
    assert failure.exit_code == code
    assert failure.envelope["message"]
    assert failure.envelope["hint"]


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_no_error_of_the_system_is_called_a_defect(number: int) -> None:
    """Each names the path and the cause; it is the machine's, and never a defect of the program."""
    failure = failure_of(OSError(number, os.strerror(number), "/some/path"))
    assert "/some/path" in str(failure.envelope["message"])
    assert "defect" not in str(failure.envelope["hint"])


@pytest.mark.parametrize(
    ("name", "code"), [("duckdb", 3), ("duckdb.functional", 3), ("loaders", 1)]
)
def test_a_package_that_is_not_installed_is_named(name: str, code: int) -> None:
    """Where only the agent is installed, other commands say what to install; ours are a defect."""
    failure = failure_of(ModuleNotFoundError(f"No module named '{name}'", name=name))
    assert failure.exit_code == code
    assert ("make install" in str(failure.envelope["hint"])) is (code == 3)
    assert name in str(failure.envelope["message"])


@pytest.mark.parametrize("name", ["annals_home", "sqlite_path"])
@pytest.mark.parametrize(
    "command", ["sync once", "pipeline", "extract", "doctor", "status", "usage daily", "backup"]
)
def test_a_file_in_the_place_of_a_folder_is_no_defect(
    name: str, command: str, in_process: Run, home: Path
) -> None:
    """It is named by its path, whichever setting leads to it."""
    write_plain(home / ".claude" / "projects", sessions=1, entries=2)
    (home / "file").touch()
    done = in_process("--set", f"{name}={home / 'file' / 'x'}", *command.split())
    assert "defect" not in done.err, done.err


def test_a_full_disk_is_found_behind_other_errors() -> None:
    """A library's own error that was caused by a full disk is exit 10 too."""
    error = RuntimeError("could not write")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert failure_of(error).exit_code == 10


def test_errors_go_to_standard_error(in_process: Run) -> None:
    """Nothing but data goes to standard output; the error has a hint."""
    done = in_process("--set", "TIMEZONE=Mars/Olympus", "config", "show")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("error: ")
    assert "\nhint: " in done.err


def test_with_json_the_error_is_an_envelope(in_process: Run) -> None:
    """With --json the error is one JSON object on standard error."""
    done = in_process("--set", "TIMEZONE=Mars/Olympus", "config", "show", "--json")
    envelope = json.loads(done.err)
    assert envelope["error"] == "SettingsError"
    assert envelope["exit_code"] == 3
    assert envelope["schema_version"] == 1
    assert {"message", "hint", "context"} <= set(envelope)


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["usage", "daily", "--since", "some day"],
        ["usage", "daily", "--timezone", "Mars/Olympus"],
        ["usage", "daily", "--no-such-option"],
        ["--set", "NO_SUCH=1", "status"],
        ["--set", "TIMEZONE", "status"],
        ["sessions", "list", "--limit", "0"],
    ],
)
def test_wrong_use_is_exit_2(in_process: Run, arguments: list[str]) -> None:
    """A command line that cannot be understood is exit 2, with a pointer to help."""
    done = in_process(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "hint: " in done.err


def test_without_a_command_there_is_help(in_process: Run) -> None:
    """``annals`` alone shows the commands."""
    done = in_process()
    assert done.code == 0
    assert "pipeline" in done.out


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_early_is_no_error(built: Built, unbuffered: str) -> None:
    """``annals ... | head`` ends without a stack trace and without a failure."""
    command = f"{sys.executable} -m analytics.cli usage daily --json | head -c 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=clean_environment(built.home, PYTHONUNBUFFERED=unbuffered),
        cwd=built.home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "{")
    assert "Error" not in done.stderr


@pytest.mark.parametrize("closed", ["2>&-", ">&-"])
def test_a_closed_stream_is_no_reason_to_stop(home: Path, closed: str) -> None:
    """If nobody listens, the work is done all the same."""
    write_sample(home / "transcripts")
    command = f"{shlex.quote(sys.executable)} -m analytics.cli sync once --json {closed}"
    environment = clean_environment(home, CLAUDE_DIR="transcripts")
    done = subprocess.run(["bash", "-c", command], env=environment, cwd=home, check=False)
    assert done.returncode == 0
    assert (home / ".claude-sync" / "buffer.db").exists()
