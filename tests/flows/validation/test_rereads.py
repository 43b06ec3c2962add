"""What a deep validation finds wrong is handed back to the agent."""

from __future__ import annotations

import json
import os
from pathlib import Path

from annals.telemetry import NO_PROGRESS
from flows.validation import promises as validation
from tests.sync_agent.places import CHAT, Place


def _deep(place: Place) -> tuple[str, ...]:
    """Return the faults that the deep check of the bytes finds."""
    (found,) = (
        check for check in validation._deep(place.settings, NO_PROGRESS) if check.name == "bytes"
    )
    return found.faults


def test_what_a_deep_validation_finds_is_read_again(tmp_path: Path) -> None:
    """R-43 A change that no time or size reports is found, named, queued, and read next time."""
    place = Place(tmp_path)
    line = json.dumps({"type": "user", "text": "x" * 1000}).encode() + b"\n"
    path = place.write(CHAT, line * 40)
    place.sync()
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(20_500)
        file.write(b"**********")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert place.sync().files_read == 0
    (fault,) = _deep(place)
    assert "are nowhere" in fault
    assert "queued to be read again by the next `annals pipeline`" in fault
    assert f"`annals repair {path}`" in fault
    assert place.sync().entries_new == 40
    assert _deep(place) == ()
