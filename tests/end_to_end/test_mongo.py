"""The pipeline by way of MongoDB: the same result, and everything accounted for."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.generator import write_sample
from tests.conftest import Run
from tests.servers.running import Mongo


@pytest.mark.slow
def test_the_pipeline_goes_by_way_of_the_server(annals: Run, home: Path, mongo: Mongo) -> None:
    """S-27 With MONGO_URI set records are shipped, extracted from there, and none is missing."""
    write_sample(home / "transcripts")
    place = {
        "CLAUDE_DIR": str(home / "transcripts"),
        "MONGO_URI": mongo.uri,
        "MONGO_DB": mongo.name,
    }
    mongo.conversations.create_index("uuid", unique=True, sparse=True)
    first = annals("pipeline", "--json", **place)
    assert first.code == 6, "what the server refused is left: it is in no report"
    counters = first.data["counters"]
    dead = counters["dead_letters_new"]
    assert dead > 0, "copies of records have one uuid, which this server refuses"
    assert "dead letters" in first.err
    assert counters["records_shipped"] == counters["records_extracted"] > 0
    assert mongo.conversations.count_documents({}) <= counters["records_shipped"]
    second = annals("pipeline", "--json", **place)
    assert second.data["nothing_new"] is True
    checked = annals("validate", "--deep", "--json", **place)
    assert checked.code == 0, checked.out


def test_a_sync_ships_as_well(annals: Run, home: Path, mongo: Mongo) -> None:
    """With MONGO_URI set `sync once` has what it read on the server; a dead one ends with 4."""
    file = home / "transcripts" / "-p" / "chat.jsonl"
    file.parent.mkdir(parents=True)
    file.write_bytes(b'{"type":"user"}\n' * 3)
    place = {"CLAUDE_DIR": str(home / "transcripts"), "MONGO_DB": mongo.name}
    done = annals("sync", "once", "--json", MONGO_URI=mongo.uri, **place)
    assert done.code == 0, done.err
    assert done.data["ship"]["records_shipped"] == mongo.conversations.count_documents({}) == 4
    with file.open("ab") as more:
        more.write(b'{"type":"user"}\n')
    away = annals("sync", "once", MONGO_URI="mongodb://127.0.0.1:1/?timeoutMS=500", **place)
    assert away.code == 4
    assert "MongoDB (mongodb://127.0.0.1:1/" in away.err
    again = annals("sync", "once", MONGO_URI=mongo.uri, **place)
    assert "0 new entries" in again.out
    assert "records shipped to MongoDB" in again.out
    assert mongo.conversations.count_documents({"recordKind": "entry"}) == 4


def test_a_wrong_uri_ends_the_pipeline_with_exit_3(annals: Run, home: Path) -> None:
    """S-19 A wrong MONGO_URI is named, its password is not."""
    write_sample(home / "transcripts")
    done = annals(
        "pipeline",
        CLAUDE_DIR=str(home / "transcripts"),
        MONGO_URI="mongodb://me:hunter22@host:port/",
    )
    assert done.code == 3
    assert "MONGO_URI" in done.err
    assert "hunter22" not in done.err + done.out
