"""Settings of log events."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from annals.settings.values import SettingsGroup, UserPath

MIB = 1024 * 1024


class LogSettings(SettingsGroup):
    """Settings of log events."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="Least level of log events on standard error."
    )
    log_format: Literal["text", "json"] = Field("text", description="Form of log events.")
    log_file: UserPath | None = Field(
        None, description="File for log events, rotated; unset means standard error."
    )
    log_file_max_bytes: int = Field(
        10 * MIB, ge=1024, description="Size at which the log file is rotated."
    )
    log_file_count: int = Field(5, ge=1, description="Rotated log files kept beside the current.")
