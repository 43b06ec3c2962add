"""Structured logs: events with key-values, ids and counts, never contents.

They go to standard error or, where LOG_FILE is set, to that file, which is rotated by its size. A
JSON line names what happened twice, as ``message`` and as ``event``; only for what the watcher saw
is ``event`` the change itself, as in the original service.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import Processor

from annals.secrecy import hide
from annals.settings import Settings
from annals.telemetry.log_file import require_writable
from annals.text import json_text, one_line

_CHANGE = "_change"
_STDLIB_LOGGER = "annals"


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log file: rotated at ``max_bytes``, with ``count`` older ones kept as ``.1``, ``.2``."""

    path: Path
    max_bytes: int
    count: int


def configure_logs(*, level: str, json_lines: bool, file: LogFile | None = None) -> None:
    """Send log events of ``level`` and above to standard error or to ``file``.

    As text or as JSON lines. Raises SettingsError (exit 3) where the file cannot be written.
    """
    renderer: list[structlog.typing.Processor] = [
        _named_change,
        _as_one_line,
        structlog.dev.ConsoleRenderer(colors=False if file else sys.stderr.isatty()),
    ]
    if json_lines:
        renderer = [_as_message, structlog.processors.JSONRenderer(serializer=_as_json)]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_secrets,
            *renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=_factory(file),
        cache_logger_on_first_use=False,
    )


def configure_logs_from(settings: Settings) -> None:
    """Send log events where LOG_LEVEL, LOG_FORMAT and LOG_FILE say."""
    file = None
    if settings.log_file is not None:
        file = LogFile(settings.log_file, settings.log_file_max_bytes, settings.log_file_count)
    configure_logs(level=settings.log_level, json_lines=settings.log_format == "json", file=file)


def log_warning(event: str, **values: str | float) -> None:
    """Log what went wrong, with ids and counts; :func:`configure_logs` comes first."""
    structlog.get_logger().warning(event, **values)


def log_event(event: str, **values: str | float) -> None:
    """Log what happened, with ids and counts; :func:`configure_logs` comes first."""
    structlog.get_logger().info(event, **values)


def log_watcher_event(change: str, path: str | bytes, *, milliseconds: float) -> None:
    """Log that a change of a file was worked on: ``change``, its name, and how long it took.

    The name has no folder: folders tell who works on what.
    """
    name = os.fsdecode(path).rpartition("/")[2].encode("utf-8", "backslashreplace").decode()
    structlog.get_logger().info(
        "watcher_event_processed",
        **{_CHANGE: change},
        file=name,
        processingTime=round(milliseconds, 3),
    )


def _as_message(
    _logger: object, _method: str, values: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    values["message"] = values["event"]
    if _CHANGE in values:
        values["event"] = values.pop(_CHANGE)
    return values


def _named_change(
    _logger: object, _method: str, values: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Let the change have a name of its own in text, where the event is the line's beginning."""
    if _CHANGE in values:
        values["change"] = values.pop(_CHANGE)
    return values


def _each_text(change: Callable[[str], str]) -> Processor:
    """Return a processor that changes every text of an event."""

    def process(
        _logger: object, _method: str, values: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        for name, value in values.items():
            if isinstance(value, str):
                values[name] = change(value)
        return values

    return process


_without_secrets = _each_text(hide)
"""Cleans every value: many quote what a library says."""

_as_one_line = _each_text(one_line)
"""Makes every text of the event safe for a terminal; in JSON it is escaped instead."""


def _as_json(values: Any, **_options: Any) -> str:
    return json_text(values, default=str)


def _factory(file: LogFile | None) -> Any:
    if file is None:
        return structlog.PrintLoggerFactory(sys.stderr)
    from logging.handlers import RotatingFileHandler  # noqa: PLC0415 -- only where it is asked for

    logger = logging.getLogger(_STDLIB_LOGGER)
    for handler in tuple(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    require_writable(file.path)
    handler = RotatingFileHandler(
        file.path, maxBytes=file.max_bytes, backupCount=file.count, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    return lambda *_arguments: logger
