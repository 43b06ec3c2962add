"""The entry contract: what a record is, how it is named, what is read out of it."""

from annals.records.columns import Record, RecordKind
from annals.records.envelope import Envelope, read_envelope
from annals.records.identity import entry_id, file_key, owning_session

__all__ = [
    "Record",
    "RecordKind",
    "Envelope",
    "read_envelope",
    "entry_id",
    "file_key",
    "owning_session",
]
