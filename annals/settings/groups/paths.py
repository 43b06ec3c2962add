"""Settings that place transcripts and everything that is kept on this machine."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from annals.settings.roots import default_roots, resolve_roots
from annals.settings.timezone import system_timezone, zone_name
from annals.settings.values import RootPaths, SettingsGroup, UserPath


class PathSettings(SettingsGroup):
    """Settings that place transcripts and everything that is kept on this machine."""

    claude_dir: RootPaths = Field(
        default_factory=default_roots,
        description="Folder below which transcripts are read; several are joined as in PATH."
        " Default where Claude Code keeps them: `projects` in CLAUDE_CONFIG_DIR if that is set,"
        " else ~/.claude/projects and ~/.config/claude/projects, those that exist.",
    )
    sqlite_path: UserPath = Field(
        Path("~/.claude-sync/buffer.db"), description="The sync agent's durable buffer (SQLite)."
    )
    annals_home: UserPath = Field(
        Path("~/.annals"), description="Folder of everything local that has no path of its own."
    )
    state_mode: Literal["private", "group"] = Field(
        "private",
        description="Who may use the state: private (files 0600, folders 0700) or the group of its"
        " folders too (0660, 0770).",
    )
    duckdb_path: UserPath | None = Field(
        None, description="The warehouse file; default ANNALS_HOME/analytics.db."
    )
    iceberg_warehouse_path: UserPath | None = Field(
        None,
        description="Folder of the lake; default ANNALS_HOME/iceberg. A REST catalog has its own.",
    )
    publish_path: UserPath | None = Field(
        None, description="Folder of published builds; default ANNALS_HOME/published."
    )
    prices_csv: UserPath | None = Field(
        None, description="Your own prices, laid over the price book; default none."
    )
    reads_transcripts: bool = Field(
        default=True,
        description="Whether commands and the pipeline read and ship transcripts; false where only"
        " an agent elsewhere does.",
    )
    timezone: str = Field(
        default_factory=system_timezone,
        description="IANA time zone of days in reports; default the system's.",
    )
    host_name: str = Field(
        default_factory=socket.gethostname, description="Name of this machine in records."
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if (name := zone_name(value)) is None:
            raise ValueError(f"{value!r} is not an IANA time zone (example: Europe/Berlin)")
        return name

    @field_validator("iceberg_warehouse_path", mode="before")
    @classmethod
    def _is_a_folder(cls, value: Any) -> Any:
        if isinstance(value, str) and "://" in value:
            raise ValueError(
                "must be a folder; a lake in an object store is where a REST catalog puts it"
                " (ICEBERG_CATALOG_TYPE=rest)"
            )
        return value

    @property
    def claude_dirs(self) -> tuple[Path, ...]:
        """The folders below which transcripts are read, each by itself."""
        return resolve_roots(self.given_claude_dirs)

    @property
    def given_claude_dirs(self) -> tuple[Path, ...]:
        """The folders that CLAUDE_DIR names, as they are named."""
        return tuple(map(Path, str(self.claude_dir).split(os.pathsep)))

    @property
    def warehouse_file(self) -> Path:
        """The DuckDB file."""
        return self.duckdb_path or self.annals_home / "analytics.db"

    @property
    def suspect_warehouse(self) -> Path:
        """The file that says, if it is there, that damage was found in the DuckDB file."""
        return self.warehouse_file.with_name(f"{self.warehouse_file.name}.suspect")

    @property
    def lake_folder(self) -> Path:
        """The folder of the lake's data and metadata files."""
        return self.iceberg_warehouse_path or self.annals_home / "iceberg"

    @property
    def builds_folder(self) -> Path:
        """The folder that holds ``builds/`` and the link ``current``."""
        return self.publish_path or self.annals_home / "published"

    @property
    def pipeline_lock(self) -> Path:
        """The lock that every writer of lake, warehouse and builds takes."""
        return self.annals_home / "pipeline.lock"

    @property
    def buffer_lock(self) -> Path:
        """The lock that the one writer of the buffer takes."""
        return self.sqlite_path.with_name(self.sqlite_path.name + ".lock")
