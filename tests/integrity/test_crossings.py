"""C3: one flipped bit at each crossing between stores is found there."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annals.errors import LakeDamageError
from annals.files import set_aside
from annals.records import Record, entry_id
from annals.records.verification import (
    Verification,
    is_verified,
    quarantine_record,
    read_range,
)
from extractors.extract import extract
from extractors.local import LocalSource
from flows import stages
from loaders import warehouse
from loaders.data_files import sweep, verify_all
from loaders.load import load
from sync_agent.shipping.outbox import open_outbox
from tests.integrity.places import Place

Harm = Callable[[Path], None]


def record(raw: bytes, **fields: object) -> Record:
    """Return a record of a file that is nowhere."""
    values = dict.fromkeys(Record._fields) | {
        "seq": 1, "entry_id": entry_id(b"s.jsonl", 7, raw).hex(), "record_kind": "entry",
        "project_id": "p", "file_path": "/nowhere/p/s.jsonl", "file_key": "s.jsonl",
        "file_generation": 0, "byte_offset": 7, "byte_length": len(raw), "host": "h",
        "ingested_at": 1, "raw": raw,
    }  # fmt: skip
    return Record(**{**values, **fields})  # type: ignore[arg-type]


@given(raw=st.binary(min_size=1, max_size=200), bit=st.integers(min_value=0))
def test_a_flipped_bit_never_verifies(raw: bytes, bit: int) -> None:
    """A record with one bit of its bytes flipped becomes a quarantined range that verifies."""
    rotten = bytearray(raw)
    rotten[bit // 8 % len(raw)] ^= 1 << bit % 8
    assert is_verified(record(raw))
    damaged = record(raw)._replace(raw=bytes(rotten))
    assert not is_verified(damaged)
    kept = quarantine_record(damaged)
    assert (kept.record_kind, kept.raw, kept.seq) == ("quarantine", bytes(rotten), 1)
    assert is_verified(kept)
    assert damaged.entry_id in str(kept.reason)


@given(
    field=st.sampled_from([name for name in Record._fields if name != "seq"]),
    value=st.one_of(st.none(), st.integers(), st.text(max_size=5), st.binary(max_size=5)),
)
def test_fields_of_any_type_pass(field: str, value: object) -> None:
    """A record whose field has a wrong type is handled, and what leaves verifies."""
    verification = Verification()
    (found,) = verification.records([record(b"{}")._replace(**{field: value})])
    assert is_verified(found)
    assert found.seq == 1


def flip_in_buffer(place: Place, needle: bytes) -> None:
    """Flip one bit of a raw value in the buffer's file, as a disk would."""
    with closing(sqlite3.connect(place.settings.sqlite_path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    content = bytearray(place.settings.sqlite_path.read_bytes())
    content[content.rindex(needle) + len(needle) - 2] ^= 2
    place.settings.sqlite_path.write_bytes(content)


def test_buffer_to_lake_restores_from_the_transcript(place: Place) -> None:
    """Bytes that rotted in the buffer are taken from the transcript, whose bytes have the id."""
    place.write(2)
    stages.sync(place.settings)
    flip_in_buffer(place, b'"uuid": "u14"')
    report = extract(place.settings)
    assert (report.records_restored, report.records_quarantined) == (1, 0)
    assert "restored" in report.warnings[0]


def test_buffer_to_lake_quarantines_without_a_copy(place: Place) -> None:
    """P-19: without a transcript the record is quarantined, and the cursor passes it."""
    place.write(2)
    stages.sync(place.settings)
    flip_in_buffer(place, b'"uuid": "u14"')
    place.transcript.unlink()
    report = extract(place.settings)
    assert (report.records_restored, report.records_quarantined) == (0, 1)
    assert report.entries_new == 1
    assert extract(place.settings).records_read == 0
    assert str(place.transcript) in report.warnings[0]


def test_buffer_to_server_is_verified(place: Place) -> None:
    """What leaves the buffer for a server is verified: the shipper's records do not lie."""
    place.write(1)
    stages.sync(place.settings)
    flip_in_buffer(place, b'"uuid": "u13"')
    place.transcript.unlink()
    (agent_id,) = LocalSource(place.settings.sqlite_path).committed()
    with open_outbox(place.settings.sqlite_path) as outbox:
        batch = outbox.batch(agent_id, after=0, rows=1000, size=10**6)
    verification = Verification()
    kept = verification.records(batch.records)
    assert verification.records_quarantined == 1
    assert [one.record_kind for one in kept].count("quarantine") == 1


def test_links_and_fifos_are_not_read_for_copies(tmp_path: Path) -> None:
    """A record's path is not trusted: no link that leads out, no FIFO, and nothing blocks."""
    secret, project = tmp_path / "secret", tmp_path / "root" / "project"
    project.mkdir(parents=True)
    secret.write_bytes(b"0123456789")
    (project / "ours").write_bytes(b"0123456789")
    (project / "link").symlink_to(secret)
    (project / "folder").symlink_to(tmp_path)
    os.mkfifo(project / "fifo")
    assert read_range(str(project / "ours"), "ours", offset=2, length=3) == b"234"
    for name in ("link", "folder/secret", "fifo", "missing", ".", "../../secret"):
        assert read_range(str(project / name), name, offset=0, length=3) is None


def flip(path: Path) -> None:
    """Flip one bit."""
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 16
    path.write_bytes(content)


def cut(path: Path) -> None:
    """Drop the second half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zero(path: Path) -> None:
    """Fill with zeros."""
    path.write_bytes(bytes(path.stat().st_size))


def swap(path: Path) -> None:
    """Put bytes of another file in, of the same length."""
    other = next(one for one in path.parent.iterdir() if one != path and one.suffix == path.suffix)
    path.write_bytes((other.read_bytes() * 2)[: path.stat().st_size])


def remove(path: Path) -> None:
    """Delete the file."""
    path.unlink()


HARMS = [flip, cut, zero, swap, remove]


@pytest.mark.parametrize("harm", HARMS)
def test_lake_to_warehouse_names_the_file(place: Place, harm: Harm) -> None:
    """A known data file that is harmed is found by the next load, with nothing new to load."""
    path = place.data_files()[0]
    harm(path)
    with pytest.raises(LakeDamageError, match=path.name) as caught:
        load(place.settings)
    assert caught.value.exit_code == 9


def test_rot_that_changes_no_time_is_found_before_a_rebuild_and_by_the_sweep(place: Place) -> None:
    """Size and time stay as they were: the full verification and the sweep still find it."""
    import os

    path = place.data_files()[1]
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with warehouse.connect(place.settings) as connection:
        with pytest.raises(LakeDamageError, match=path.name):
            verify_all(connection)
        assert sweep(connection, bytes_per_day=10**9) == 0
        connection.execute("update meta.file_checks set checked_at = '2020-01-01'")
        with pytest.raises(LakeDamageError, match=path.name):
            sweep(connection, bytes_per_day=10**9)
        assert sweep(connection, bytes_per_day=0) == 0


def test_data_files_have_page_checksums(place: Place) -> None:
    """A flipped bit in a page is an error of its own to a reader that asks for checksums."""
    path = place.data_files()[0]
    with pq.ParquetFile(path) as file:
        column = next(
            file.metadata.row_group(0).column(number)
            for number in range(file.metadata.num_columns)
            if file.metadata.row_group(0).column(number).path_in_schema == "raw"
        )
        middle = column.data_page_offset + column.total_compressed_size // 2
    content = bytearray(path.read_bytes())
    content[middle] ^= 1
    path.write_bytes(content)
    with (
        pq.ParquetFile(path, page_checksum_verification=True) as file,
        pytest.raises(OSError, match=r"(?i)crc|checksum"),
    ):
        file.read()


def test_set_aside_keeps_the_bytes(tmp_path: Path) -> None:
    """What is set aside has another name and the same bytes."""
    path = tmp_path / "a"
    path.write_bytes(b"x")
    assert set_aside(path).read_bytes() == b"x"
    assert not path.exists()
