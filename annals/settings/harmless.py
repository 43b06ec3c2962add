"""Which settings may be shown: only those that are named here; every other one is a secret.

A setting that is added is a secret until it is marked (docs/adr/0032).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from annals.secrecy import HIDDEN, hide, register, register_address, shown_address

HARMLESS = frozenset(
    {
        *("duckdb_spill_limit", "duckdb_spill_path", "iceberg_keep_days", "iceberg_keep_snapshots"),
        *("claude_dir", "sqlite_path", "annals_home", "duckdb_path", "iceberg_warehouse_path"),
        *("publish_path", "prices_csv", "log_file", "ignore_patterns"),
        *("iceberg_catalog_name", "iceberg_catalog_type", "iceberg_namespace"),
        *("iceberg_table_name", "aws_region", "s3_path_style", "mongo_db", "reads_transcripts"),
        *("timezone", "host_name", "batch_size", "sync_interval_ms", "max_line_bytes"),
        *("buffer_retention_days", "journal_rows", "rollback_snapshots", "builds_kept"),
        "lake_verify_bytes_per_day",
        *("duckdb_memory_limit", "duckdb_threads", "dbt_target", "watch_mode", "watch_poll_ms"),
        *("watch_latency_ms", "health_port", "health_host", "shutdown_timeout_s", "log_level"),
        *("log_format", "log_file_max_bytes", "log_file_count", "pipeline_trigger"),
        *("pipeline_debounce_s", "pipeline_interval_s", "flow_retries", "flow_retry_seconds"),
        *(
            "zombie_seconds",
            "freshness_hours",
            "notify_with",
            "allow_destinations",
            "allowed_hosts",
            "run_variables",
            "state_mode",
        ),
    }
)
"""Settings whose whole value may be printed, logged and archived."""

_CATALOG_VARIABLES = "PYICEBERG_CATALOG__"
_CATALOG_SECRETS = ("__TOKEN", "__CREDENTIAL", "KEY", "SECRET", "PASSWORD")

ADDRESSES = frozenset(
    {"s3_endpoint", "prefect_api_url", "dbt_docs_url", "mongo_uri", "iceberg_catalog_uri"}
    | {"notify_url", "outbound_proxy"}
)
"""Settings of which scheme and host may be shown."""


def shown_setting(name: str, value: Any) -> str:
    """Return a setting's value as text for people; what is not marked as harmless is hidden."""
    if value is None:
        return ""
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    if name in HARMLESS and not isinstance(value, SecretStr):
        return hide(text)
    return shown_address(text) if name in ADDRESSES else HIDDEN


def register_settings(values: Iterable[tuple[str, Any]]) -> None:
    """Register what is secret in the values of settings, so that no text shows it."""
    for name, value in values:
        if value is None or name in HARMLESS:
            continue
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        if name in ADDRESSES:
            register_address(text)
        else:
            register([text, text.partition(":")[2]])


def register_variables(variables: Mapping[str, str]) -> None:
    """Register what is secret in the variables that Iceberg's library reads on its own."""
    for name, value in variables.items():
        if not name.upper().startswith(_CATALOG_VARIABLES):
            continue
        if "://" in value:
            register_address(value)
        elif name.upper().endswith(_CATALOG_SECRETS):
            register([value, value.partition(":")[2]])


def is_web_address(text: str) -> bool:
    """Return whether a text is an address of a web server; never quote it in an error."""
    try:
        parts = urlsplit(text)
        return parts.port != 0 and parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # it quotes the text, which may be a secret
        return False
