"""``annals sessions restore`` and ``export``: what became of the transcripts of a session."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.cli.layout import Column, Kind
from analytics.cli.output import as_members, print_json, say, tell
from analytics.cli.tables import Table, count, make_printable, show
from annals.errors import PartialError, UsageError

if TYPE_CHECKING:
    from analytics.cli.effective_settings import InForce
    from operations.transcripts.assembly import Transcript
    from operations.transcripts.placing import Placed

_PROOFS = {
    "hash": "exact: its hash is the one noted when it was read",
    "size": "exact: every record by its id, the line ends by number and length",
    "none": "NOT proven",
}


def restore_session(
    found: InForce,
    prefix: str,
    *,
    folder: Path | None,
    mapping: str | None,
    is_dry: bool,
    as_json: bool,
) -> int:
    """Write the transcripts of a session back; return the exit code."""
    from operations.transcripts.assembly import transcripts_of
    from operations.transcripts.kept import open_custody
    from operations.transcripts.placing import place_all, places_of

    pair = _pair(mapping)
    with open_custody(found.settings) as custody:
        session = custody.session_named(prefix)
        transcripts = transcripts_of(custody, session)
        places = places_of(transcripts, found.settings, folder=folder, mapping=pair)
        roots = [folder] if folder else found.settings.claude_dirs
        placed = place_all(custody, places, roots=roots, is_dry=is_dry)
    if as_json:
        members = {"session": session, "dry_run": is_dry, "transcripts": as_members(placed)}
        print_json({**members, "sample": found.sample})
    else:
        _show(session, placed, is_dry=is_dry, is_at_home=folder is None)
    return _exit_code(transcripts)


def export_session(found: InForce, prefix: str) -> int:
    """Write the main transcript of a session to standard output; return the exit code."""
    from operations.transcripts.assembly import transcripts_of
    from operations.transcripts.kept import open_custody

    with open_custody(found.settings) as custody:
        transcripts = transcripts_of(custody, custody.session_named(prefix))[:1]
        for transcript in transcripts:
            for piece in transcript.pieces(custody):
                sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    for one in transcripts:
        _tell_doubt(one.file_key, one.doubt, one.lost_bytes)
    return _exit_code(transcripts)


def _pair(mapping: str | None) -> tuple[str, str] | None:
    if mapping is None:
        return None
    before, equals, after = mapping.partition("=")
    if not (before.startswith("/") and equals and after.startswith("/")):
        raise UsageError(
            f"--map {mapping} is not FROM=TO with two absolute paths",
            hint="Write --map /home/ada/.claude/projects=/home/me/.claude/projects.",
        )
    return before, after


def _exit_code(transcripts: Sequence[Transcript]) -> int:
    return 0 if all(one.is_exact for one in transcripts) else PartialError.exit_code


def _show(session: str, placed: Sequence[Placed], *, is_dry: bool, is_at_home: bool) -> None:
    columns = (
        Column("Transcript"),
        Column("Bytes", Kind.FIGURE),
        Column("Outcome", Kind.TEXT),
        Column("Proof", Kind.TEXT),
    )
    rows = ((make_printable(one.path), count(one.size), one.outcome, one.proof) for one in placed)
    show(Table(columns, rows))
    for proof in dict.fromkeys(one.proof for one in placed):
        say(f"{proof}: {_PROOFS[proof]}")
    for one in placed:
        _tell_doubt(one.file_key, one.doubt, one.lost_bytes)
    if is_dry:
        say("nothing was written: leave out --dry-run to restore")
    elif is_at_home and any(one.outcome == "restored" for one in placed):
        say(f"-> Resume it in its project's folder: claude --resume {session}")


def _tell_doubt(file_key: str, doubt: str, lost_bytes: int) -> None:
    name = make_printable(file_key)
    if doubt:
        tell(f"warning: {name}: {make_printable(doubt)}")
    if lost_bytes:
        tell(f"warning: {name}: its last {count(lost_bytes)} bytes were never read and are lost")
