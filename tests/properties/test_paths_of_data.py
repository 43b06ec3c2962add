"""Paths that come from data are taken apart once, and lie below their target or are refused."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from annals.errors import AnalyticsError, IntegrityError, LakeDamageError, UsageError
from annals.lake.boundary import locations_in, require_inside
from annals.lake.moving import moved_from
from annals.settings import load_settings
from operations.backup.manifest import Manifest
from operations.backup.note import RestoreNote, read_note
from operations.backup.taking import backup
from operations.transcripts.assembly import Transcript, _newlines
from operations.transcripts.placing import places_of
from tests.properties.test_archives import Place, member, write_archive

FOLDER = Path("/data/lake")
PARTS = st.sampled_from(
    [
        *("..", ".", "", "a", "analytics", "conversations", "data", "metadata", "C:", "c:\\x"),
        *("nul\0", "\udcff", "é", "é", "\x1b[31m", "\n", " ", "x" * 300, "~", "%2e%2e", "con"),
    ]
)
PATHS = st.builds(
    lambda start, parts: start + "/".join(parts),
    st.sampled_from(
        [
            *("", "/", "//", "file://", "file:", "file:/", "s3://b/", "http://h/", "\\\\h\\s/"),
            *(f"{FOLDER}/", f"file://{FOLDER}/", f"{FOLDER}", f"{FOLDER}x/", f"{FOLDER}/../"),
        ]
    ),
    st.lists(PARTS, max_size=5),
)
LOCATION = "manifest_path"


@settings(max_examples=400, deadline=None)
@given(location=PATHS)
@example(location=f"file://{FOLDER}/a/../../etc/passwd")
@example(location=f"{FOLDER}-other/data/a.parquet")
def test_a_location_lies_below_the_lake_or_is_refused(location: str) -> None:
    """What passes is the same file for every reader, below the folder."""
    try:
        path = require_inside(location, FOLDER)
    except LakeDamageError:
        return
    assert os.path.normpath(path).rstrip("/") == str(path).rstrip("/")
    assert path.is_relative_to(FOLDER)
    assert str(path) in location


@given(name=st.sampled_from(["manifest-list", LOCATION, "file_path", "location"]), path=PATHS)
def test_locations_are_found_wherever_they_are(name: str, path: str) -> None:
    """A location in a list in a mapping is found, other texts are not locations."""
    value = {"snapshots": [{"x": {name: path}, "summary": {"operation": "append"}}]}
    assert list(locations_in(value)) == [path]


@settings(max_examples=300, deadline=None)
@given(path=PATHS)
def test_a_lake_is_moved_from_no_place_outside(path: str) -> None:
    """The file by which a moved lake is recognized is below the lake that the settings name."""
    if "\0" in path:
        return
    place = load_settings(annals_home=Path("/nowhere/home"))
    assert moved_from(Path(path), place) is None


@settings(max_examples=300, deadline=None)
@given(project=PATHS, key=PATHS, path=PATHS)
@example(project="../../elsewhere", key="s.jsonl", path="/x/s.jsonl")
@example(project="/etc", key="s.jsonl", path=f"{FOLDER}/../s.jsonl")
def test_a_restored_transcript_lies_below_its_target(project: str, key: str, path: str) -> None:
    """What a record says of its place leads to no other, with --to and without it."""
    transcript = Transcript(key, path, project, (), _newlines, 0, "none", "", 0)
    watched = load_settings(annals_home=Path("/nowhere/home"), claude_dir=str(FOLDER))
    for folder in (FOLDER, None):
        try:
            (place,) = places_of([transcript], watched, folder=folder, mapping=None)
        except UsageError:
            continue
        assert os.path.normpath(place.path) == str(place.path)
        assert place.path.is_relative_to(FOLDER)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return an empty place with something beside it that nobody may touch."""
    return Place.make(tmp_path / "place")


def _manifest() -> Manifest:
    return Manifest.model_validate(
        {
            "version": 1,
            "created_at": "2026-01-01T00:00:00Z",
            "annals_version": "0.1.0",
            "timezone": "UTC",
            "lake": None,
            "snapshot_id": None,
            "agent_id": None,
            "members": [],
        }
    )


@settings(max_examples=200, deadline=None)
@given(source=PATHS, target=PATHS, sent=st.none() | PATHS)
def test_a_note_of_a_restore_moves_nothing_that_the_settings_do_not_name(
    tmp_path_factory: pytest.TempPathFactory, source: str, target: str, sent: str | None
) -> None:
    """The note is compared with what the settings name; its own paths are never used."""
    folder = tmp_path_factory.getbasetemp()
    path = folder / "restoring.json"
    note = {"moves": {source: target}, "sent": sent, "manifest": _manifest().model_dump_json()}
    path.write_text(json.dumps(note))
    expected = {folder / ".lake.restoring": folder / "lake"}
    with pytest.raises(IntegrityError):
        read_note(path, expected)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"moves": []}', '{"moves": {"a": 1}}', "[" * 100_000, "\xff"]
)
def test_a_damaged_note_is_named(tmp_path: Path, text: str) -> None:
    """A note that is cut off or of another shape is an error with a remedy, not a defect."""
    path = tmp_path / "restoring.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(IntegrityError, match=r"restoring\.json"):
        read_note(path, {})


def test_a_note_that_is_as_written_is_used(tmp_path: Path) -> None:
    """What a restore wrote before it was killed is what the next one does; links are refused."""
    path, source = tmp_path / "restoring.json", tmp_path / ".lake.restoring"
    moves = {source: tmp_path / "lake"}
    note = RestoreNote(moves, "s3://bucket/analytics/t/metadata/1.metadata.json", _manifest())
    note.write(path)
    assert read_note(path, moves) == note
    source.symlink_to(tmp_path)
    with pytest.raises(IntegrityError, match="is a link"):
        read_note(path, moves)
    path.unlink()
    assert read_note(path, moves) is None


def _catalog(path: Path, location: str) -> bytes:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "create table iceberg_tables (catalog_name, table_namespace, table_name,"
            " metadata_location, previous_metadata_location)"
        )
        connection.execute(
            "insert into iceberg_tables values ('annals', 'analytics', 'conversations', ?, null)",
            (location,),
        )
    return path.read_bytes()


@pytest.mark.parametrize(
    ("location", "metadata"),
    [
        ("file:///etc/passwd", {}),
        ("s3://others/x.metadata.json", {}),
        (f"file://{FOLDER}/../x.metadata.json", {}),
        (f"file://{FOLDER}/m/1.metadata.json", {"location": "http://h/x"}),
        (f"file://{FOLDER}/m/1.metadata.json", {"snapshots": [{"manifest-list": "/etc/x"}]}),
    ],
)
def test_an_archive_whose_metadata_leads_elsewhere_is_refused(
    place: Place, location: str, metadata: dict[str, object]
) -> None:
    """What Iceberg's library would open after the restore lies in the lake, or nothing is kept."""
    catalog = _catalog(place.root / "made.db", location)
    (place.root / "made.db").unlink()
    contents = [
        member("catalog.db", catalog),
        member("lake/m/1.metadata.json", json.dumps(metadata).encode()),
    ]
    lake = {
        "folder": str(FOLDER),
        "catalog": place.settings.iceberg_catalog_name,
        "namespace": "analytics",
        "table": "conversations",
    }
    archive = write_archive(place.root / "a.tar.zst", contents, lake=lake)
    before = place.files()
    from operations.backup.restoring import restore

    with pytest.raises(AnalyticsError, match="not below its folder") as refusal:
        restore(place.settings, archive)
    assert refusal.value.exit_code == 9
    assert place.files() == before


def test_a_backup_goes_where_its_name_leads(place: Place) -> None:
    """A target is resolved once: neither ``..`` nor a link puts an archive into the lake."""
    lake = place.settings.lake_folder
    (lake / "data").mkdir(parents=True)
    (place.root / "link").symlink_to(lake / "data")
    for target in (lake.parent / "x" / ".." / lake.name / "a", place.root / "link" / "a"):
        with pytest.raises(UsageError, match="in the lake itself"):
            backup(place.settings, target)
    (place.root / "dangling").symlink_to(place.root / "nothing")
    with pytest.raises(UsageError, match="exists already"):
        backup(place.settings, place.root / "dangling")
