"""The columns of a record: the one table that every store's own list of them is derived from.

A new column is two edits. The first is a field of :class:`Record` here, before ``raw``, with the
next free ``field_id`` and the default that older buffers, documents and lakes read as. The second
is the staging model of dbt, ``stg_claude_code__entries`` (its SQL and its YAML). All types are
texts: the sync agent loads neither Arrow nor DuckDB (docs/specs/records.md).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, get_type_hints


class RecordKind(StrEnum):
    """The three kinds of record."""

    ENTRY = "entry"
    QUARANTINE = "quarantine"
    FILE = "file"


CLAUDE_CODE = "claude_code"
"""The ``agent_kind`` of all that was written before there was such a column."""


class ColumnType(NamedTuple):
    """What values a column has, and its type in the buffer, in Arrow and in DuckDB."""

    values: str
    sqlite: str
    arrow: str
    duckdb: str


ENTRY_ID = ColumnType("entry_id", "blob not null", "large_string", "varchar")
KIND = ColumnType("kind", "text not null", "large_string", "varchar")
NAME = ColumnType("name", "text not null", "large_string", "varchar")
TEXT = ColumnType("text", "text", "large_string", "varchar")
TIME = ColumnType("text", "text", "timestamp[us, tz=UTC]", "timestamptz")
SMALL_COUNT = ColumnType("count", "integer not null", "int32", "integer")
COUNT = ColumnType("count", "integer not null", "int64", "bigint")
INSTANT = ColumnType("instant", "integer not null", "timestamp[us, tz=UTC]", "timestamptz")
FLAG = ColumnType("flag", "integer", "bool", "boolean")
BYTES = ColumnType("bytes", "blob not null", "large_string", "varchar")
BYTES_APART = ColumnType("bytes", "", "large_binary", "blob")


class Encoding(StrEnum):
    """How a column is laid out in the lake's Parquet files."""

    DICTIONARY = "dictionary"
    """Few values, or equal ones beside each other."""

    UNIQUE = "unique"
    """Nearly every value occurs once: a dictionary and statistics are dead weight."""

    RISING = "rising"
    """Neighbours differ by little: differences are stored."""

    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``field_id`` is its Iceberg field in a new table; ids are never given twice.

    ``mongo`` is its name in a document; empty, it is that of the record in camel case. ``staging``
    is its name in the staging model, where None stands for the record's own and an empty text for
    none. ``default`` is what a null reads as, and what was written before there was the column.
    ``in_location`` says that the buffer has it in the table ``locations``.
    """

    doc: str
    type: ColumnType
    field_id: int
    mongo: str = ""
    staging: str | None = None
    default: str | None = None
    encoding: Encoding = Encoding.DICTIONARY
    in_location: bool = False
    is_required: bool = False
    name: str = ""


_UNIQUE, _RISING = Encoding.UNIQUE, Encoding.RISING


class Record(NamedTuple):
    """One record with its envelope and its exact bytes; each field is a column of every store.

    A tuple, so that a batch turns into columns with one ``zip``. ``seq`` is the record's number
    in its agent's buffer. ``byte_offset`` and ``byte_length`` are in bytes of the source file.
    ``timestamp`` is the transcript's own string, ``ingested_at`` microseconds since the epoch.
    ``file_path`` and ``file_key`` are text made by :func:`annals.records.identity.readable`
    where the name is not UTF-8. ``raw`` are the exact bytes: of the entry, of the quarantined
    range, or the JSON text of a file record.
    """

    seq: Annotated[
        int,
        Column(
            "Number of the record in its agent's buffer.",
            COUNT,
            4,
            staging="",
            encoding=_RISING,
            is_required=True,
        ),
    ]
    entry_id: Annotated[
        str,
        Column(
            "Identity of the entry in the lake, from its file key, offset and bytes.",
            ENTRY_ID,
            1,
            mongo="_id",
            encoding=_UNIQUE,
            is_required=True,
        ),
    ]
    record_kind: Annotated[
        str,
        Column("Kind of the record: entry, quarantine or file.", KIND, 2, "", "", is_required=True),
    ]
    project_id: Annotated[
        str,
        Column(
            "Folder below the watched root that the entry was read from.",
            NAME,
            5,
            in_location=True,
        ),
    ]
    file_path: Annotated[
        str,
        Column("Absolute path of the transcript, as read.", NAME, 7, staging="", in_location=True),
    ]
    file_key: Annotated[
        str, Column("Path of the transcript below its project folder.", NAME, 8, in_location=True)
    ]
    host: Annotated[
        str, Column("Name of the machine whose copy was read.", NAME, 21, in_location=True)
    ]
    file_generation: Annotated[
        int, Column("How often the file had been replaced before this content.", SMALL_COUNT, 9)
    ]
    byte_offset: Annotated[
        int, Column("Offset of the entry in its file, in bytes.", COUNT, 10, encoding=_RISING)
    ]
    byte_length: Annotated[
        int, Column("Length of the entry in bytes.", COUNT, 11, encoding=_RISING)
    ]
    session_id: Annotated[str | None, Column("Session that the row belongs to.", TEXT, 6)]
    type: Annotated[
        str | None,
        Column("Type of the record; an open vocabulary.", TEXT, 12, staging="entry_type"),
    ]
    uuid: Annotated[
        str | None,
        Column(
            "The record's own uuid; copies in other files share it.", TEXT, 13, encoding=_UNIQUE
        ),
    ]
    parent_uuid: Annotated[
        str | None,
        Column("uuid of the record that this one follows.", TEXT, 14, encoding=_UNIQUE),
    ]
    timestamp: Annotated[
        str | None,
        Column(
            "Timestamp of the record, null where it has none or it does not parse.",
            TIME,
            15,
            staging="occurred_at",
            encoding=_RISING,
        ),
    ]
    request_id: Annotated[
        str | None,
        Column("Id of the API request, null where the transcript names none.", TEXT, 16),
    ]
    version: Annotated[
        str | None,
        Column("Version of Claude Code that wrote the record.", TEXT, 17, staging="claude_version"),
    ]
    cwd: Annotated[str | None, Column("Working folder that the record names.", TEXT, 18)]
    git_branch: Annotated[str | None, Column("Branch of the working folder.", TEXT, 19)]
    is_sidechain: Annotated[
        bool | None,
        Column("Whether the record is marked as a sidechain's.", FLAG, 20, encoding=Encoding.PLAIN),
    ]
    reason: Annotated[
        str | None, Column("Why a quarantined range is not an entry.", TEXT, 23, staging="")
    ]
    ingested_at: Annotated[
        int,
        Column(
            "When the record was read.",
            INSTANT,
            22,
            mongo="ingestedMicros",
            staging="",
            encoding=_RISING,
        ),
    ]
    agent_kind: Annotated[
        str,
        Column("Which coding agent wrote the transcript.", NAME, 26, default=CLAUDE_CODE),
    ]
    stored_hash: Annotated[
        str | None,
        Column(
            "Hash of the stored bytes where they are not the transcript's own, else null.",
            TEXT,
            27,
            encoding=_UNIQUE,
        ),
    ]
    redaction: Annotated[
        str | None, Column("What was redacted from the bytes, null where nothing was.", TEXT, 28)
    ]
    raw: Annotated[
        bytes,
        Column("The exact bytes, as strict UTF-8.", BYTES, 24, staging="", encoding=_UNIQUE),
    ]


def _camel_case(name: str) -> str:
    return re.sub("_(.)", lambda found: found[1].upper(), name)


def _named(name: str, column: Column) -> Column:
    return replace(column, name=name, mongo=column.mongo or _camel_case(name))


_HINTS: dict[str, Any] = get_type_hints(Record, include_extras=True)

COLUMNS = tuple(_named(name, _HINTS[name].__metadata__[0]) for name in Record._fields)
"""The columns of a record, in the order of its fields."""

LAKE_ONLY = (
    _named("agent_id", Column("Agent whose buffer it was.", KIND, 3, staging="", is_required=True)),
    _named(
        "raw_binary",
        Column("The exact bytes if not UTF-8.", BYTES_APART, 25, staging="", encoding=_UNIQUE),
    ),
)
"""Columns of the lake that are not field of a record: its agent, and bytes that are not text."""

LAKE_COLUMNS = tuple(sorted((*COLUMNS, *LAKE_ONLY), key=lambda column: column.field_id))
"""The columns of the lake's table and of the raw views, in their order."""

FIRST_COLUMNS = 25
"""So many columns the lake had at first; the others were added, each at the end."""

DEFAULTS = {column.name: column.default for column in LAKE_COLUMNS if column.default is not None}
"""What a missing or null value reads as, by the name of its column."""

ADDED = tuple(column for column in COLUMNS if column.field_id > FIRST_COLUMNS)
"""Columns that buffers, documents and lakes of older programs lack."""

NOTHING: dict[str, Any] = dict.fromkeys(Record._fields) | DEFAULTS
"""The fields of a record of which nothing is known: null, or their defaults."""
