"""The lake: the only place of the extractors that speaks Iceberg."""

from extractors.lake.catalog import open_lake
from extractors.lake.table import Lake, LakeInfo, SnapshotInfo, WrittenFile

__all__ = ["open_lake", "Lake", "LakeInfo", "SnapshotInfo", "WrittenFile"]
