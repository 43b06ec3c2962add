"""Settings of the sync agent: reading, watching, shipping, its buffer and its port."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from annals.settings.values import SettingsGroup

MIB = 1024 * 1024


class AgentSettings(SettingsGroup):
    """Settings of the sync agent: reading, watching, shipping, its buffer and its port."""

    ignore_patterns: str = Field(
        ".* *.tmp *.swp",
        min_length=1,
        description="What is left out below CLAUDE_DIR: patterns as in .gitignore, with spaces"
        " between them.",
    )
    max_line_bytes: int = Field(
        64 * MIB, ge=1024, description="Longer lines are quarantined in chunks instead of parsed."
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
    batch_size: int = Field(1000, ge=1, description="Records a batch holds at most when shipped.")
    sync_interval_ms: int = Field(
        5000,
        ge=1,
        description="Milliseconds after which waiting records are shipped at the latest.",
    )
    buffer_retention_days: float = Field(
        7, ge=0, description="Days a buffered record stays after every consumer has it."
    )
    journal_rows: int = Field(
        10_000, ge=100, description="Rows of the buffer's transaction log that are kept."
    )
    health_port: int = Field(
        9090, ge=0, le=65_535, description="Port of /health, /ready and /metrics; 0 for none."
    )
    health_host: str = Field("127.0.0.1", description="Address on which HEALTH_PORT is opened.")
    shutdown_timeout_s: float = Field(
        10, ge=0, description="Seconds the agent may take to read and ship the rest when it ends."
    )
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
