"""How rows become a Parquet file: encodings chosen for transcripts, and nothing about Iceberg."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from annals.records.columns import LAKE_COLUMNS, Encoding

COMPRESSION_LEVEL = 3
ROW_GROUP_BYTES = 16 * 1024 * 1024
"""Rows are ordered by session, so small row groups let a reader of few sessions skip the rest."""

PAGE_BYTES = 4 * 1024 * 1024
"""Similar lines compress better in large pages: 1.5 % less than with the usual 1 MiB."""


def _columns(*encodings: Encoding) -> frozenset[str]:
    return frozenset(column.name for column in LAKE_COLUMNS if column.encoding in encodings)


UNIQUE_COLUMNS = _columns(Encoding.UNIQUE)
"""Nearly every value occurs once: no dictionary, no least and greatest values."""

RISING_COLUMNS = _columns(Encoding.RISING)
"""Neighbours differ by little: differences are stored."""

DICTIONARY_COLUMNS = _columns(Encoding.DICTIONARY)


def write_parquet(stream: Any, rows: pa.Table, *, schema: pa.Schema) -> None:
    """Write ``rows`` to the open binary ``stream`` as one Parquet file.

    ``schema`` is that of ``rows`` with the field ids of the Iceberg table it is for; columns that
    it lacks are left out.
    """
    rows = rows.select(schema.names)
    rows_per_group = max(1, rows.num_rows * ROW_GROUP_BYTES // max(1, rows.nbytes))
    with pq.ParquetWriter(
        stream,
        schema,
        compression="zstd",
        compression_level=COMPRESSION_LEVEL,
        data_page_size=PAGE_BYTES,
        use_dictionary=[name for name in schema.names if name in DICTIONARY_COLUMNS],
        column_encoding=dict.fromkeys(sorted(RISING_COLUMNS), "DELTA_BINARY_PACKED"),
        write_statistics=[name for name in schema.names if name not in UNIQUE_COLUMNS],
        write_page_checksum=True,
    ) as writer:
        writer.write_table(rows.cast(schema), row_group_size=rows_per_group)
