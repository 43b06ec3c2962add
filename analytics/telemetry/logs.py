"""Structured logs on standard error: events with key-values, ids and counts, never contents."""

from __future__ import annotations

import logging
import sys

import structlog


def configure_logs(*, level: str, json_lines: bool) -> None:
    """Send log events of ``level`` and above to standard error, as text or as JSON lines."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def log_warning(event: str, **values: str | float) -> None:
    """Log what went wrong, with ids and counts; :func:`configure_logs` comes first."""
    structlog.get_logger().warning(event, **values)


def log_event(event: str, **values: str | float) -> None:
    """Log what happened, with ids and counts; :func:`configure_logs` comes first."""
    structlog.get_logger().info(event, **values)
