"""The agent's log events; the library that writes them is loaded at the first one."""

from __future__ import annotations

import threading

from annals.errors import SettingsError
from annals.settings import Settings
from annals.telemetry.log_file import require_writable

_LEVELS = ("debug", "info", "warning", "error")


class Logbook:
    """Writes events at or above LOG_LEVEL: names of files without folders, ids, counts.

    Raises SettingsError where LOG_FILE cannot be written now; where that happens later, the rest
    goes to standard error: the log never keeps the agent from reading.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.log_file is not None:
            require_writable(settings.log_file)
        self._settings = settings
        self._lock = threading.Lock()
        self._is_open = False
        self.is_chatty = self._takes("info")

    def info(self, event: str, **values: str | float) -> None:
        """Log what happened."""
        if self.is_chatty:
            self._open()
            from annals.telemetry.logs import log_event  # noqa: PLC0415 -- 6 MB, if wanted

            log_event(event, **values)

    def changed(self, change: str, name: str, *, milliseconds: float) -> None:
        """Log that a change of a file was worked on."""
        if self.is_chatty:
            self._open()
            from annals.telemetry.logs import log_watcher_event  # noqa: PLC0415 -- as above

            log_watcher_event(change, name, milliseconds=milliseconds)

    def warning(self, event: str, **values: str | float) -> None:
        """Log what went wrong and what would help."""
        if self._takes("warning"):
            self._open()
            from annals.telemetry.logs import log_warning  # noqa: PLC0415 -- as above

            log_warning(event, **values)

    def _takes(self, level: str) -> bool:
        return _LEVELS.index(level) >= _LEVELS.index(self._settings.log_level)

    def _open(self) -> None:
        with self._lock:
            if self._is_open:
                return
            from annals.telemetry.logs import configure_logs_from  # noqa: PLC0415 -- as above

            self._is_open = True
            try:
                configure_logs_from(self._settings)
            except SettingsError as error:
                configure_logs_from(self._settings.model_copy(update={"log_file": None}))
                from annals.telemetry.logs import log_warning  # noqa: PLC0415 -- as above

                log_warning("log_file_refused", reason=error.message, hint=error.hint)
