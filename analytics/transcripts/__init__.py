"""The entry contract: what a record is, how it is named, what is read out of it."""

from analytics.transcripts.envelope import Envelope, read_envelope
from analytics.transcripts.identity import entry_id, file_key, owning_session
from analytics.transcripts.records import Record, RecordKind

__all__ = [
    "Record",
    "RecordKind",
    "Envelope",
    "read_envelope",
    "entry_id",
    "file_key",
    "owning_session",
]
