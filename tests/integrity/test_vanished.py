"""L-11: after the loss of a buffer the ledger still knows vanished files, from the lake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flows import stages
from sync_agent.reading.ledger import custody
from tests.conftest import Run
from tests.integrity.places import Place

LINE = b'{"type":"user"}\n'


def lose_buffer(place: Place) -> None:
    """Delete the buffer and all files beside it."""
    for path in place.settings.sqlite_path.parent.glob("buffer.db*"):
        path.unlink()


def land(place: Place) -> None:
    """Read and extract."""
    stages.sync(place.settings)
    stages.extract(place.settings)


def other(place: Place, name: str, text: str = "") -> Path:
    """Write a second transcript."""
    path = place.root / "projects" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or json.dumps({"type": "user", "uuid": name}) + "\n")
    return path


@pytest.mark.parametrize("is_noted", [True, False])
def test_a_vanished_file_is_known_after_the_loss_of_the_buffer(
    place: Place, is_noted: bool
) -> None:
    """L-11 Whether the first buffer noted that the file vanished or not, its bytes are counted."""
    other(place, "-home-dev/stays.jsonl")
    land(place)
    size = place.transcript.stat().st_size
    place.transcript.unlink()
    if is_noted:
        land(place)
        assert custody(place.settings).vanished_bytes == size
    lose_buffer(place)
    land(place)
    kept = custody(place.settings)
    assert (kept.files, kept.files_vanished, kept.vanished_bytes) == (1, 1, size)
    assert kept.vanished == (str(place.transcript),)
    lose_buffer(place)  # and once more
    land(place)
    assert custody(place.settings).vanished_bytes == size


def test_what_comes_back_has_not_vanished(place: Place) -> None:
    """A file that returns is counted as on disk, before and after it is read."""
    other(place, "-home-dev/stays.jsonl")
    content = place.transcript.read_bytes()
    place.transcript.unlink()
    lose_buffer(place)
    land(place)
    place.transcript.write_bytes(content)
    assert custody(place.settings).files_vanished == 0
    land(place)
    kept = custody(place.settings)
    assert (kept.files, kept.files_vanished, kept.vanished) == (2, 0, ())


def _move(place: Place) -> None:
    target = place.root / "projects" / "-other" / place.transcript.name
    target.parent.mkdir()
    place.transcript.rename(target)


def _replace(place: Place) -> None:
    place.transcript.write_text(json.dumps({"type": "user", "uuid": "another"}) + "\n")
    land(place)
    place.transcript.unlink()


def _move_and_delete(place: Place) -> None:
    _move(place)
    land(place)
    (place.root / "projects" / "-other" / place.transcript.name).unlink()


def _cut(place: Place) -> None:
    place.transcript.write_bytes(place.transcript.read_bytes() + LINE + b'{"unfinished')
    land(place)
    place.transcript.unlink()


@pytest.mark.parametrize(
    ("change", "files", "size", "lost"),
    [
        (_move, 0, 0, 0),
        (_replace, 1, len('{"type": "user", "uuid": "another"}\n'), 0),
        (_move_and_delete, 1, 0, 0),
        (_cut, 1, -len(LINE), len('{"unfinished')),
    ],
)
def test_the_history_of_a_file_is_one_file(
    place: Place, change: Callable[[Place], None], files: int, size: int, lost: int
) -> None:
    """Moved files have not vanished; of replaced ones the last generation counts."""
    other(place, "-home-dev/stays.jsonl")
    place.write(1)
    land(place)
    whole = place.transcript.stat().st_size
    change(place)
    land(place) if change is _move else None
    lose_buffer(place)
    land(place)
    kept = custody(place.settings)
    assert (kept.files_vanished, kept.lost_pending_bytes) == (files, lost)
    assert kept.vanished_bytes == (size if change in (_move, _replace) else whole - size)


def test_every_command_lists_it(home: Path, in_process: Run) -> None:
    """validate, status, doctor and the byte ledger name the file and count its bytes."""
    folder = home / ".claude" / "projects" / "-p"
    folder.mkdir(parents=True)
    for name in ("gone", "stays"):
        (folder / f"{name}.jsonl").write_bytes(LINE)
    assert in_process("sync", "once").code == in_process("extract").code == 0
    (folder / "gone.jsonl").unlink()
    for path in (home / ".claude-sync").glob("buffer.db*"):
        path.unlink()
    assert in_process("sync", "once").code == in_process("extract").code == 0
    kept = in_process("sync", "once", "--json").data["custody"]
    gone = str(folder / "gone.jsonl")
    assert (kept["files_vanished"], kept["vanished_bytes"]) == (1, len(LINE))
    assert in_process("status", "--json").data["custody"]["vanished"] == [gone]
    assert gone in in_process("status").out
    assert gone in in_process("doctor").out
    shown = in_process("validate")
    assert shown.code == 0, shown.out
    assert f"vanished and kept: {gone}" in shown.out
