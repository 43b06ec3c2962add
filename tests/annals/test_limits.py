"""What others made is read up to a limit, in bytes and in time."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import fastavro
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from annals.errors import DiskFullError, SettingsError
from annals.files import read_state_text
from annals.lake import waiting
from annals.limits import TooLargeError, parse_json, read_answer, read_bounded, read_file
from annals.prefect_api import PrefectApi
from annals.settings import load_settings
from extractors.lake import avro_files
from loaders.prices import book_version
from operations import repair
from operations.doctor.agent import retention
from operations.services.asking import Answer, ask_agent
from tests.properties.test_archives import member, write_archive

GIGABYTE = 1 << 30
RECORDS = [{"name": "x" * 100, "number": number} for number in range(50)]
SCHEMA = {
    "type": "record",
    "name": "manifest_file",
    "fields": [{"name": "name", "type": "string"}, {"name": "number", "type": "long"}],
}


@contextlib.contextmanager
def _server(head: bytes, pieces: Callable[[], Iterator[bytes]]) -> Iterator[str]:
    """Answer every connection with a head and then pieces, until the client leaves."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(head + b"\r\n")
                for piece in pieces():
                    connection.sendall(piece)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def _endless() -> Iterator[bytes]:
    while True:
        yield b" " * 262144


def _drip() -> Iterator[bytes]:
    while True:
        yield b" "
        time.sleep(0.01)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
STUCK = b"HTTP/1.1 503 Service Unavailable\r\n"


def test_an_answer_without_end_is_left() -> None:
    """Prefect's API, or what is in its place, cannot fill the memory."""
    with _server(OK, _endless) as address, pytest.raises(ConnectionError, match="allowed"):
        PrefectApi(f"{address}/api", None).call("GET", "/health")


def test_an_answer_that_drips_is_left() -> None:
    """An answer has a limit of time as a whole, however steadily its bytes arrive."""
    with _server(OK, _drip) as address:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=5)
        connection.request("GET", "/")
        started = time.monotonic()
        with pytest.raises(TimeoutError, match="no whole answer"):
            read_answer(connection.getresponse(), seconds=0.2)
        assert time.monotonic() - started < 3
        connection.close()


def test_a_health_answer_without_end_is_left() -> None:
    """Of an error of the agent's port 64 KiB are read."""
    with _server(STUCK, _endless) as address:
        assert ask_agent(address) is Answer.UNWELL


@pytest.mark.parametrize("kind", ["endless", "packed"])
def test_a_catalog_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The catalog's answer has a limit, also after it was unpacked."""
    monkeypatch.setattr(waiting, "METADATA_BYTES", 2**21)
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(bytes(2**26)) + packer.flush()
    head = OK + b"Content-Encoding: gzip\r\n" * (kind == "packed")
    with _server(head, _endless if kind == "endless" else lambda: iter([packed])) as address:
        session = requests.Session()
        session.mount("http://", waiting._Patient())
        with pytest.raises(ConnectionError, match="too long"):
            session.get(address)


def test_what_a_catalog_answers_arrives() -> None:
    """The limit changes no answer."""
    body = json.dumps({"defaults": {}, "overrides": {}}).encode()
    head = OK + b"Content-Length: %d\r\n" % len(body)
    with _server(head, lambda: iter([body])) as address:
        session = requests.Session()
        session.mount("http://", waiting._Patient())
        assert session.get(address).json() == json.loads(body)


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(GIGABYTE)


@pytest.mark.parametrize(
    "make",
    [_large, os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")],
    ids=["gigabyte", "fifo", "folder", "device"],
)
def test_a_price_file_of_any_kind_is_refused_by_name(
    home: Path, make: Callable[[Path], None]
) -> None:
    """PRICES_CSV names what somebody put there: nothing blocks, and nothing of it is kept."""
    path = home / "prices.csv"
    make(path)
    with pytest.raises(SettingsError, match=r"prices\.csv cannot be read"):
        book_version(load_settings(prices_csv=path))


def test_settings_of_another_program_are_read_up_to_a_limit(home: Path) -> None:
    """Claude Code's settings.json can have any size; doctor says that it cannot be read."""
    _large(home / "settings.json")
    (finding,) = retention(home / "projects", None)
    assert "settings.json is not a JSON object" in str(finding)


def test_a_state_file_has_a_limit(home: Path) -> None:
    """A note that grew, by damage or by others, is an unreadable note."""
    _large(home / "note.json")
    with pytest.raises(ValueError, match="allowed"):
        read_state_text(home / "note.json")


def test_the_limit_is_exact(tmp_path: Path) -> None:
    """As many bytes as the limit are read, one more is too many."""
    path = tmp_path / "file"
    path.write_bytes(bytes(100))
    assert len(read_file(path, limit=100)) == 100
    assert len(read_bounded(io.BytesIO(bytes(100)), limit=100)) == 100
    with pytest.raises(TooLargeError):
        read_file(path, limit=99)
    with pytest.raises(TooLargeError):
        read_bounded(io.BytesIO(bytes(100)), limit=99)


def test_copies_for_a_repair_leave_room_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive whose data files expand without end fills no disk."""
    contents = [member("lake/data/x.parquet", bytes(100))]
    path = write_archive(tmp_path / "a.tar.zst", contents)
    (copy,) = repair._unpack_data_files(path, None, tmp_path).values()
    assert copy.stat().st_size == 100
    monkeypatch.setattr(repair, "_SPARE_BYTES", 1 << 62)
    with pytest.raises(DiskFullError):
        repair._unpack_data_files(path, None, tmp_path)


def _avro(codec: str = "deflate") -> io.BufferedReader:
    made = io.BytesIO()
    fastavro.writer(made, SCHEMA, RECORDS, codec=codec, sync_interval=500)
    return io.BufferedReader(io.BytesIO(made.getvalue()))


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_avro_files_of_a_lake_are_read_whole(codec: str) -> None:
    """The look at the sizes changes nothing."""
    assert list(avro_files.open_avro(_avro(codec))) == RECORDS


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_an_avro_block_expands_up_to_a_limit(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block says nothing about how far it expands; it is expanded piece by piece first."""
    monkeypatch.setattr(avro_files, "METADATA_BYTES", 3_000)
    with pytest.raises(TooLargeError):
        avro_files.open_avro(_avro(codec))


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 2_000), byte=st.integers(0, 255), length=st.integers(0, 9))
def test_damaged_avro_files_are_an_error_or_records(at: int, byte: int, length: int) -> None:
    """Whatever a byte or a cut does to a file: an exception at once, or an end."""
    content = bytearray(_avro().read())
    at %= len(content)
    content[at : at + length] = bytes([byte] * length)
    file: IO[bytes] = io.BytesIO(bytes(content if length else content[:at]))
    with contextlib.suppress(Exception):
        for _ in zip(avro_files.open_avro(io.BufferedReader(file)), range(1_000), strict=False):
            pass


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_json_without_an_end_of_its_depth_is_a_wrong_value(opening: str) -> None:
    """What is nested too deeply is refused as any other text that is not JSON."""
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(opening * 100_000)
