"""The note of a restore that was not finished: read once, compared, and only then used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annals.errors import IntegrityError
from annals.files import read_state_text, replace_text
from annals.limits import parse_json
from operations.backup.manifest import Manifest
from operations.backup.members import MANIFEST_BYTES, member_path

_NOTE_BYTES = 2 * MANIFEST_BYTES + 64 * 1024


@dataclass(frozen=True, slots=True)
class RestoreNote:
    """What is to be renamed, and the metadata that is to be registered with the catalog."""

    moves: Mapping[Path, Path]
    sent: str | None
    manifest: Manifest

    def write(self, path: Path) -> None:
        """Write the note, as a whole."""
        moves = {str(source): str(target) for source, target in self.moves.items()}
        note = {"moves": moves, "sent": self.sent, "manifest": self.manifest.model_dump_json()}
        replace_text(path, json.dumps(note))


def read_note(path: Path, expected: Mapping[Path, Path]) -> RestoreNote | None:
    """Return the note, None if there is none.

    Its moves have to be among the ``expected`` ones, which the settings name: what the note says
    is compared and never used as a path. Raises IntegrityError (exit 9) for any other note, and
    SettingsError for a link or a file of another user in its place.
    """
    if not path.exists() and not path.is_symlink():
        return None
    try:
        note = parse_json(read_state_text(path, limit=_NOTE_BYTES))
        known = {str(source): (source, target) for source, target in expected.items()}
        moves = dict(_expected(known, *move) for move in note["moves"].items())
        sent = _location(note.get("sent"))
        manifest = Manifest.model_validate_json(note["manifest"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refused(path, f"{type(error).__name__}: {error}") from error
    for source in moves:
        if source.is_symlink():
            raise _refused(path, f"{source} is a link")
    return RestoreNote(moves, sent, manifest)


def _expected(
    known: Mapping[str, tuple[Path, Path]], source: object, target: object
) -> tuple[Path, Path]:
    move = known.get(str(source))
    if move is None or str(move[1]) != target:
        raise ValueError(f"the settings do not name {source!r} and {target!r}")
    return move


def _location(sent: Any) -> str | None:
    if sent is None:
        return None
    scheme, mark, rest = str(sent).partition("://")
    if not (mark and scheme.isalnum() and rest.endswith(".metadata.json")):
        raise ValueError(f"{sent!r} is not a metadata file")
    member_path(rest.lstrip("/"))
    return str(sent)


def _refused(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"the note of an unfinished restore {path} cannot be used: {why[:300]}",
        hint="Set ANNALS_HOME, SQLITE_PATH and ICEBERG_WAREHOUSE_PATH as they were when the restore"
        f" began. Or run `rm {path}` and restore into an empty place. Nothing was changed.",
        path=path,
    )
