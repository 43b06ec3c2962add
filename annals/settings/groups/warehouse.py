"""Settings of the warehouse, of dbt, and of published builds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from annals.settings.values import SettingsGroup, UserPath, WebAddress


class WarehouseSettings(SettingsGroup):
    """Settings of the warehouse, of dbt, and of published builds."""

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
    dbt_docs_url: WebAddress = Field(
        "http://127.0.0.1:8686", description="Address of the dbt docs, for links from flow runs."
    )
