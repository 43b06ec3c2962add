"""Add to a lake of an older program the columns that records have now."""

from __future__ import annotations

from pyiceberg.io.pyarrow import pyarrow_to_schema
from pyiceberg.table import Table

from annals.lake.checksums import Checksums, metadata_files
from extractors.entries import SCHEMA


def add_columns(table: Table, checksums: Checksums) -> None:
    """Add what the table's schema lacks, in one commit; do nothing if it has all columns.

    No snapshot is made: cursor and data files stay what they are, and a program of the older
    version goes on with the columns that it knows. Raises CommitFailedException if another process
    changed the schema in between.
    """
    present = {field.name for field in table.schema().fields}
    missing = [field for field in pyarrow_to_schema(SCHEMA).fields if field.name not in present]
    if not missing:
        return
    with table.update_schema() as update:
        for field in missing:
            update.add_column(field.name, field.field_type)
    checksums.note(metadata_files(table))
