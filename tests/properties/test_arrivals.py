"""Hostile documents on a server, of every shape, through the real extraction (S-29).

ARRIVALS_EXAMPLES sets how many random sets of documents are tried.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
import zstandard
from bson.raw_bson import RawBSONDocument
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import PyMongoError

from annals.records import entry_id
from annals.records.document import encode_raw
from extractors.extract import extract
from tests.conftest import clean_environment
from tests.extractors.lakes import ids, rows
from tests.servers.running import Mongo
from tests.sync_agent.agents import Agent

EXAMPLES = int(os.environ.get("ARRIVALS_EXAMPLES", "6"))
GOOD = 20
MEGABYTE = 1024 * 1024

VALUES: tuple[Any, ...] = (
    *(None, True, -1, 7, 2**31, 2**63 - 1, 0.5, 3.0, 1e300, float("inf"), float("nan")),
    *("", "text", "\0", "a\0b", "\ufeff\u202e", "x" * 70_000),
    *(b"", b"\xff\xfe", [], [1, 2], ["a"], {}, {"$gt": 0}, {"a": {"b": [{}]}}),
    *(bson.ObjectId("f" * 24), bson.Regex("(a+)+$"), bson.Timestamp(1, 1)),
    bson.DatetimeMS(2**62),
)
MISSING = object()

FRAMES = (
    b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 1 << 40) + b"\x01\x00\x00",
    zstandard.ZstdCompressor().compress(bytes(200 * MEGABYTE)),
    zstandard.ZstdCompressor(write_content_size=False).compress(b"{}"),
    zstandard.ZstdCompressor().compress(b'{"a":1}')[:-2],
    zstandard.ZstdCompressor().compress(b'{"a":1}') + b"more",
    b"\x28\xb5\x2f\xfd",
    b"",
)
"""Frames that promise a terabyte, hold 200 MiB of zeros, are cut off, or do not name their size."""

RAWS = (
    *("", "nope", "[1]", "5", "{", "{}x", '{"a":NaN}', '{"a":"\x01"}', "[" * 100_000),
    '{"a":' * 3_000 + "1" + "}" * 3_000,
)


def template(number: int, agent_id: str, raw: str = '{"n": 1}') -> dict[str, Any]:
    """Return a document that an agent could have shipped."""
    content = raw.encode("utf-8", "surrogatepass")
    return {
        "_id": entry_id(b"other.jsonl", number, content).hex(),
        "recordKind": "entry",
        "agentId": agent_id,
        "seq": number,
        "projectId": "p",
        "sessionId": "s",
        "filePath": "/r/p/other.jsonl",
        "fileKey": "other.jsonl",
        "fileGeneration": 0,
        "byteOffset": number,
        "byteLength": len(content),
        "type": "user",
        "uuid": None,
        "parentUuid": None,
        "timestamp": None,
        "requestId": None,
        "version": None,
        "cwd": None,
        "gitBranch": None,
        "isSidechain": None,
        "host": "h",
        "ingestedMicros": 1_700_000_000_000_000,
        "reason": None,
        "raw": raw,
    }


FIELDS = sorted({*template(0, "")} - {"agentId"} | {"rawEncoding"})


def with_value(document: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Return the document with another value in one field, or without it."""
    changed = {**document, name: value}
    if value is MISSING:
        del changed[name]
    return changed


def every_hostile(agent_id: str) -> Iterator[dict[str, Any]]:
    """Yield a document for each value in each field, and for each raw value."""
    number = 0
    for name in FIELDS:
        for value in (*VALUES, MISSING):
            number += 1
            yield with_value(
                template(number % GOOD + 1, agent_id, f'{{"h": {number}}}'), name, value
            )
    for frame in FRAMES:
        number += 1
        yield {**template(3, agent_id, str(number)), "raw": frame, "rawEncoding": "zstd"}
    for raw in RAWS:
        yield template(4, agent_id, raw)


def insert(mongo: Mongo, document: dict[str, Any]) -> bool:
    """Insert a document; False if the server does not take it, which is its right."""
    try:
        mongo.conversations.insert_one(document)
    except (PyMongoError, bson.errors.BSONError, OverflowError):
        return False
    return True


@pytest.fixture
def agent(tmp_path: Path, mongo: Mongo) -> Iterator[Agent]:
    """Return an agent whose good records are on the server."""
    found = Agent(tmp_path / "sync" / "buffer.db", mongo, annals_home=tmp_path / "annals")
    yield found
    found.close()


def test_no_value_in_any_field_stops_the_good_ones(agent: Agent, mongo: Mongo) -> None:
    """S-29 Each kind of value in each field of a document: the good records all arrive."""
    good = agent.buffer.append_entries(GOOD)
    agent.ship()
    inserted = sum(insert(mongo, one) for one in every_hostile(agent.buffer.agent_id))
    report = extract(agent.settings)
    kinds = dict(
        zip(
            *(rows(agent.settings)[name].to_pylist() for name in ("entry_id", "record_kind")),
            strict=True,
        )
    )
    assert all(kinds[one] == "entry" for one in good)
    assert inserted > len(FIELDS) * 10
    assert report.records_refused > inserted / 2
    assert len(report.refusals) == 20
    later = agent.buffer.append_entries(1)
    agent.ship()
    assert set(later) <= set(ids(agent.settings)) or extract(agent.settings).entries_new == 1
    assert set(later) <= set(ids(agent.settings))


documents = st.lists(
    st.tuples(
        st.sampled_from(FIELDS),
        st.sampled_from((*VALUES, MISSING, *FRAMES, *RAWS))
        | st.binary(max_size=40)
        | st.text(max_size=9),
        st.sampled_from(FIELDS),
        st.integers(-(2**63), 2**63 - 1) | st.floats() | st.none(),
        st.integers(1, GOOD + 3),
    ),
    max_size=40,
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(hostile=documents)
def test_random_documents_never_stop_the_good_ones(
    tmp_path_factory: pytest.TempPathFactory, ferretdb: Any, hostile: list[Any]
) -> None:
    """S-29 Two fields at a time with random values: nothing good is lost, nothing is raised."""
    mongo, folder = Mongo(ferretdb), tmp_path_factory.mktemp("arrivals")
    agent = Agent(folder / "buffer.db", mongo, annals_home=folder / "annals")
    try:
        good = agent.buffer.append_entries(GOOD)
        agent.ship()
        for number, (name, value, other, second, seq) in enumerate(hostile):
            changed = template(seq, agent.buffer.agent_id, json.dumps({"x": number}))
            insert(mongo, with_value(with_value(changed, other, second), name, value))
        extract(agent.settings)
        assert set(good) <= set(ids(agent.settings))
        assert extract(agent.settings).records_refused <= len(hostile)
    finally:
        agent.close()
        mongo.close()


def test_damaged_bson_is_one_document(agent: Agent, mongo: Mongo) -> None:
    """S-29 Text that is not UTF-8 inside a stored document costs that document alone."""
    good = agent.buffer.append_entries(3)
    agent.ship()
    damaged = bson.encode(template(2, agent.buffer.agent_id)).replace(
        b"other.jsonl", b"other\xff\xfe\xffonl"
    )
    insert(mongo, RawBSONDocument(damaged))  # type: ignore[arg-type]
    extract(agent.settings)
    assert set(good) <= set(ids(agent.settings))


@pytest.mark.parametrize(
    "document",
    [
        {"_id": 5, "committedSeq": 3},
        {"committedSeq": "x"},
        {"committedSeq": True},
        {"committedSeq": 2**63 - 1, "missingThrough": []},
        {"_id": "a" * 5_000_000, "committedSeq": 9},
    ],
)
def test_a_bad_agent_document_stops_no_other_agent(
    agent: Agent, mongo: Mongo, document: dict[str, Any]
) -> None:
    """S-29 A document of an agent that cannot be one has no position, and no effect."""
    good = agent.buffer.append_entries(2)
    agent.ship()
    mongo.database["agents"].insert_one(dict(document))
    assert extract(agent.settings).entries_new == 2
    assert set(good) == set(ids(agent.settings))


def test_bad_claims_and_pieces_are_quarantined(agent: Agent, mongo: Mongo) -> None:
    """S-29 Claims on nothing and GridFS files that lie about themselves are named one by one."""
    good = agent.buffer.append_entries(3)
    agent.ship()
    claims = mongo.database["claims"]
    for value in (None, 5, "x", ["f" * 32], "f" * 32, "x" * MEGABYTE):
        claims.insert_one({"agentId": agent.buffer.agent_id, "seq": 2, "entryId": value})
    whole = b'{"x":"' + b"x" * 2 * MEGABYTE + b'"}'
    packed = encode_raw(whole).value
    pieces = mongo.database["raw.chunks"]
    pieces.insert_one({"files_id": "whole", "n": 0, "data": packed})
    pieces.insert_one({"files_id": "hole", "n": 1, "data": packed})
    pieces.insert_one({"files_id": "typed", "n": 0, "data": "text"})
    for number, name in enumerate(("whole", "hole", "typed", "none", "\0")):
        document = template(3, agent.buffer.agent_id, whole.decode() if not number else str(number))
        insert(mongo, {**document, "raw": name, "rawEncoding": "gridfs"})
    report = extract(agent.settings)
    assert (report.records_refused, report.entries_new) == (6 + 4, len(good) + 1)


def test_memory_follows_no_size_that_a_document_names(agent: Agent, mongo: Mongo) -> None:
    """S-29 Frames of a terabyte, and many documents with huge fields, take bounded memory."""
    agent.buffer.append_entries(3)
    agent.ship()
    for number, frame in enumerate(FRAMES[:2]):
        document = template(2, agent.buffer.agent_id, str(number))
        insert(mongo, {**document, "raw": frame, "rawEncoding": "zstd"})
    for number in range(2):
        document = template(3, agent.buffer.agent_id, f"{{}}{' ' * number}")
        insert(mongo, {**document, "cwd": "x" * 14 * MEGABYTE})
    done = _extract_measured(agent, tmp=agent.settings.annals_home.parent)
    assert done["code"] == 6
    assert done["kilobytes"] < 1_200_000, done


def _extract_measured(agent: Agent, *, tmp: Path) -> dict[str, int]:
    """Run the command in a process of its own; return its exit code and its most memory."""
    environment = clean_environment(
        tmp,
        MONGO_URI=agent.settings.mongo_uri.get_secret_value(),  # type: ignore[union-attr]
        MONGO_DB=agent.settings.mongo_db,
        ANNALS_HOME=str(tmp / "measured"),
        SQLITE_PATH=str(agent.buffer.path),
    )
    command = [sys.executable, "-m", "analytics.cli", "extract"]
    with subprocess.Popen(command, env=environment, cwd=tmp, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return {"code": process.returncode, "kilobytes": usage.ru_maxrss}
