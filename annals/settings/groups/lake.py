"""Settings of the lake: its catalog, its object store, what it keeps."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from annals.settings.values import SettingsGroup, WebAddress

MIB = 1024 * 1024


class LakeSettings(SettingsGroup):
    """Settings of the lake: its catalog, its object store, what it keeps."""

    iceberg_catalog_name: str = Field("default", description="Name of the Iceberg catalog.")
    iceberg_catalog_type: Literal["sql", "rest"] = Field(
        "sql", description="sql: a catalog file beside the lake (or a database); rest: a server."
    )
    iceberg_catalog_uri: SecretStr | None = Field(
        None, description="Address of the catalog; default a SQLite file in the warehouse folder."
    )
    iceberg_namespace: str = Field("analytics", description="Namespace of the lake's table.")
    iceberg_table_name: str = Field("conversations", description="Name of the lake's table.")
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
    s3_endpoint: WebAddress | None = Field(
        None, description="Address of the object store; unset means Amazon's."
    )
    s3_path_style: bool = Field(
        default=True,
        description="Whether the bucket is in the path of S3_ENDPOINT (true) or in its name.",
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
