"""The file of LOG_FILE, looked at before the library that writes to it is loaded."""

from __future__ import annotations

from pathlib import Path

from analytics.errors import SettingsError


def require_writable(path: Path) -> None:
    """Make the file where it is not there yet; raise SettingsError (exit 3) where that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab"):
            pass
    except OSError as error:
        raise SettingsError(
            f"the log file {path} cannot be written: {error.strerror}",
            hint="Set LOG_FILE to a file that this user may write, or leave it unset.",
        ) from error
