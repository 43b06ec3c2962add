"""Checks of places: what is outside custody, and transcripts that no setting names."""

from __future__ import annotations

import os
from collections.abc import Iterator

from annals.errors import AnalyticsError
from annals.settings import Settings
from annals.settings.roots import other_places, root_notes
from operations.doctor.findings import Finding, broken, doubtful, fine

_SHOWN = 20


def places(settings: Settings) -> list[Finding]:
    """Return each place outside custody, and each folder of transcripts that is not read."""
    return [*_outside(settings), *_elsewhere(settings)]


def _outside(settings: Settings) -> Iterator[Finding]:
    from sync_agent.reading.ledger import custody

    try:
        kept = custody(settings)
    except AnalyticsError:  # the checks of transcripts and buffer say why
        return
    for place in kept.outside[:_SHOWN]:
        why, _, remedy = place.why.partition("; ")
        says = f"{place.path} is outside custody: {why}"
        yield broken("places", says, remedy=remedy or "See `annals status`.")
    if len(kept.outside) > _SHOWN:
        says = f"{len(kept.outside) - _SHOWN:,} more places are outside custody"
        yield broken("places", says, remedy="`annals status --json` lists them.")
    if not kept.outside:
        yield fine("places", f"{kept.files:,} files, nothing is outside custody")
    for name in kept.vanished[:_SHOWN]:
        yield fine("vanished", f"{name} is gone from its folder; its bytes are kept")
    if len(kept.vanished) > _SHOWN:
        says = f"{len(kept.vanished) - _SHOWN:,} more files are gone and kept"
        yield fine("vanished", f"{says}; `annals status --json` lists them")
    for name in kept.foreign[:_SHOWN]:
        yield fine("foreign", f"{name} is of another program; its bytes are kept")
    yield from _ignored(kept.ignored)


def _ignored(names: tuple[str, ...]) -> Iterator[Finding]:
    if names:
        says = f"IGNORE_PATTERNS leaves out {len(names):,} that look like transcripts"
        yield fine("ignored", f"{says}: {', '.join(names[:_SHOWN])}")


def _elsewhere(settings: Settings) -> Iterator[Finding]:
    for note in root_notes(settings.given_claude_dirs):
        yield fine("CLAUDE_DIR", note)
    roots = settings.claude_dirs
    for place in other_places(roots, os.environ):
        joined = os.pathsep.join(map(str, (*roots, place)))
        yield doubtful(
            "places",
            f"{place} holds transcripts and is not read",
            remedy=f"To have them read, too: CLAUDE_DIR={joined}",
        )
