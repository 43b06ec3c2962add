"""Every setting of Annals, with its default and one line of meaning."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from annals.errors import SettingsError
from annals.settings.harmless import is_web_address, register_settings, register_variables
from annals.settings.leaving import DestinationSettings
from annals.settings.roots import default_roots, resolve_roots
from annals.settings.serving import ServingSettings
from annals.settings.sources import FileSource
from annals.settings.timezone import system_timezone, zone_name
from annals.settings.values import RootPaths, UserPath

MIB = 1024 * 1024


class Settings(ServingSettings, DestinationSettings, BaseSettings):
    """All settings. The environment variable of a field is its name in capitals.

    A setting whose value is wrong, and that ``load_settings`` let pass, raises its SettingsError
    where it is used.
    """

    model_config = SettingsConfigDict(
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        validate_default=True,
        hide_input_in_errors=True,
    )

    _flags: frozenset[str] = PrivateAttr(frozenset())
    _invalid: dict[str, SettingsError] = PrivateAttr(default_factory=dict)

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
    iceberg_catalog_name: str = Field("default", description="Name of the Iceberg catalog.")
    iceberg_catalog_type: Literal["sql", "rest"] = Field(
        "sql", description="sql: a catalog file beside the lake (or a database); rest: a server."
    )
    iceberg_catalog_uri: SecretStr | None = Field(
        None, description="Address of the catalog; default a SQLite file in the warehouse folder."
    )
    aws_access_key_id: SecretStr | None = Field(
        None, description="Key of the object store that a REST catalog keeps the lake in."
    )
    aws_secret_access_key: SecretStr | None = Field(
        None, description="The secret that belongs to AWS_ACCESS_KEY_ID."
    )
    aws_session_token: SecretStr | None = Field(
        None, description="Token of a session of limited time, where the keys belong to one."
    )
    aws_region: str = Field("us-east-1", description="Region of the object store.")
    s3_endpoint: str | None = Field(
        None, description="Address of the object store; unset means Amazon's."
    )
    s3_path_style: bool = Field(
        default=True,
        description="Whether the bucket is in the path of S3_ENDPOINT (true) or in its name.",
    )
    iceberg_namespace: str = Field("analytics", description="Namespace of the lake's table.")
    iceberg_table_name: str = Field("conversations", description="Name of the lake's table.")
    mongo_uri: SecretStr | None = Field(
        None, description="MongoDB to ship to; unset means embedded: the buffer is the source."
    )
    mongo_db: str = Field("claude_logs", description="MongoDB database.")
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
    batch_size: int = Field(1000, ge=1, description="Records a batch holds at most when shipped.")
    sync_interval_ms: int = Field(
        5000,
        ge=1,
        description="Milliseconds after which waiting records are shipped at the latest.",
    )
    max_line_bytes: int = Field(
        64 * MIB, ge=1024, description="Longer lines are quarantined in chunks instead of parsed."
    )
    buffer_retention_days: float = Field(
        7, ge=0, description="Days a buffered record stays after every consumer has it."
    )
    journal_rows: int = Field(
        10_000, ge=100, description="Rows of the buffer's transaction log that are kept."
    )
    rollback_snapshots: int = Field(
        10, ge=1, description="Newest lake snapshots that a rollback can reach."
    )
    lake_verify_bytes_per_day: int = Field(
        1024 * MIB,
        ge=0,
        description="Bytes of the lake's data files that pipelines verify again in a day, beside"
        " new ones; 0 for none.",
    )
    iceberg_keep_snapshots: int = Field(
        50,
        ge=1,
        description="Newest lake snapshots that are kept; older ones expire once twice as many"
        " are there.",
    )
    iceberg_keep_days: int = Field(
        7, ge=0, description="Days of which the last lake snapshot is kept besides."
    )
    builds_kept: int = Field(3, ge=2, description="Published builds kept for active readers.")
    duckdb_memory_limit: str = Field(
        "auto",
        pattern=r"(?i)^(auto|\d+(\.\d+)?\s*[KMGT]i?B)$",
        description="Memory DuckDB may use before it spills, such as 1GB; auto: 512 MB, more for"
        " over 3 million entries, at most half of what the machine or container has left.",
    )
    duckdb_spill_path: UserPath | None = Field(
        None, description="Folder for what memory cannot hold; default beside DUCKDB_PATH."
    )
    duckdb_spill_limit: str = Field(
        "auto",
        pattern=r"(?i)^(auto|\d+(\.\d+)?\s*[KMGT]i?B)$",
        description="Disk space that spilled data may take, such as 20GB; auto: 90 % of what is"
        " free.",
    )
    duckdb_threads: int = Field(2, ge=1, description="Threads DuckDB may use.")
    dbt_target: Literal["dev", "prod"] = Field("dev", description="Target in dbt/profiles.yml.")
    prices_csv: UserPath | None = Field(
        None, description="Your own prices, laid over the price book; default none."
    )
    ignore_patterns: str = Field(
        ".* *.tmp *.swp",
        min_length=1,
        description="What is left out below CLAUDE_DIR: patterns as in .gitignore, with spaces"
        " between them.",
    )
    watch_mode: Literal["auto", "events", "poll"] = Field(
        "auto",
        description="How changes are noticed: events of the system, polling, or what works best.",
    )
    watch_poll_ms: int = Field(
        500, ge=10, description="Milliseconds between two looks at all files where they are polled."
    )
    watch_latency_ms: float = Field(
        3,
        ge=0,
        le=5_000,
        description="Milliseconds that a change waits for others: less is quicker, more is less"
        " work.",
    )
    health_port: int = Field(
        9090, ge=0, le=65_535, description="Port of /health, /ready and /metrics; 0 for none."
    )
    health_host: str = Field("127.0.0.1", description="Address on which HEALTH_PORT is opened.")
    shutdown_timeout_s: float = Field(
        10, ge=0, description="Seconds the agent may take to read and ship the rest when it ends."
    )
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
    pipeline_trigger: Literal["off", "local", "prefect"] = Field(
        "off",
        description="Who runs the pipeline when the agent has read new entries: off, local (a"
        " process of its own), prefect.",
    )
    pipeline_debounce_s: float = Field(
        5, ge=0, description="Seconds without new entries after which that run is asked for."
    )
    pipeline_interval_s: float = Field(
        20,
        ge=0,
        description="Seconds between two of these runs at least, and after which one is asked for"
        " at the latest while entries keep coming.",
    )

    prefect_api_url: str | None = Field(
        None,
        description="Prefect server on whose record the stage commands run as flows; unset means"
        " without Prefect.",
    )
    flow_retries: int = Field(
        3, ge=0, description="Times a stage is tried again in a flow where a retry may help."
    )
    flow_retry_seconds: float = Field(
        10,
        gt=0,
        description="Seconds before the first retry in a flow; then doubled, up to 8-fold.",
    )
    zombie_seconds: int = Field(
        100,
        ge=40,
        description="Seconds without a sign of life after which a flow run counts as crashed; it"
        " gives one every 30.",
    )
    freshness_hours: float = Field(
        72,
        ge=0,
        description="Hours without new data, while an agent is active, that are notified; 0 for"
        " never.",
    )
    notify_url: SecretStr | None = Field(
        None, description="Address that notifications are sent to; a secret, as it lets in."
    )
    notify_with: Literal["none", "webhook", "slack", "teams"] = Field(
        "none", description="What notifies of failed, dead and overdue flow runs."
    )
    dbt_docs_url: str = Field(
        "http://127.0.0.1:8686", description="Address of the dbt docs, for links from flow runs."
    )

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._flags = frozenset(values)

    if not TYPE_CHECKING:  # mypy would take every attribute for one that exists

        def __getattr__(self, name: str) -> Any:
            """Raise what is wrong with a setting; other names are none of this class's."""
            if name in type(self).model_fields and name in self._invalid:
                raise self._invalid[name]
            return super().__getattr__(name)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- the library's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where values come from: flags, the environment, and the one settings file."""
        return init_settings, env_settings, FileSource(settings_cls)

    @property
    def flags(self) -> frozenset[str]:
        """The names of the settings that came from the command line, or from code."""
        return self._flags

    def with_flags(self, names: Iterable[str]) -> Settings:
        """Return the same settings, of which these came from the command line."""
        copy = self.model_copy()
        copy._flags = frozenset(names)  # noqa: SLF001 -- of this very class
        return copy

    @property
    def invalid(self) -> dict[str, SettingsError]:
        """What is wrong with which setting, where that was let pass."""
        return self._invalid

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

    @field_validator("iceberg_catalog_uri")
    @classmethod
    def _suits_the_catalog(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        parts = urlsplit(value.get_secret_value() if value else "")
        is_server = parts.scheme in ("http", "https")
        kind = info.data.get("iceberg_catalog_type")
        if kind == "sql" and is_server:
            raise ValueError("is the address of a server: set ICEBERG_CATALOG_TYPE=rest")
        if kind == "rest" and not (is_server and parts.hostname):
            what = "is not an address of a server" if value else "is not set"
            raise ValueError(
                f"{what}, such as http://localhost:8181, but ICEBERG_CATALOG_TYPE is rest"
            )
        return value

    @field_validator("prefect_api_url", "s3_endpoint", "dbt_docs_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not is_web_address(value):
            raise ValueError("is not an address (example: http://127.0.0.1:4200/api)")
        return value

    @field_validator("notify_url")
    @classmethod
    def _is_a_webhook(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_web_address(value.get_secret_value()):
            raise ValueError(
                "is not an address of a webhook, which begins with https:// or http://"
            )
        return value

    @field_validator("notify_with")
    @classmethod
    def _has_an_address(cls, value: str, found: ValidationInfo) -> str:
        if value != "none" and found.data.get("notify_url", "it is wrong") is None:
            raise ValueError(f"{value} needs an address: set NOTIFY_URL, or NOTIFY_WITH=none")
        return value

    def model_post_init(self, _context: Any) -> None:
        """Register what is secret in the values, so that no text shows it."""
        register_settings(iter(self))
        register_variables(os.environ)

    @property
    def prefect_api(self) -> str:
        """The address of the Prefect API, without a slash at its end: ours where none is set."""
        return (self.prefect_api_url or "http://127.0.0.1:4200/api").rstrip("/")

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
