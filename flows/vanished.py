"""After the loss of a buffer, tell the new one which files the lake has records of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from annals.settings import Settings

if TYPE_CHECKING:
    from annals.records.kept_files import KeptFile


def note_vanished(settings: Settings) -> int:
    """Note files in the buffer that only the lake still knows; return how many (L-11).

    The lake is scanned only if it has records of an agent that it did not have the last time. To
    be called when all transcripts were read: what the buffer does not know then is gone.
    """
    from loaders.origins import agents_of_lake
    from sync_agent.buffer.vanished_files import existing_roots, known_to_buffer, note_kept_files

    if not settings.reads_transcripts:
        return 0
    known = known_to_buffer(settings)
    agents = agents_of_lake(settings) if known else ()
    if known is None or not set(agents) - {known.agent_id}:
        return 0
    roots = existing_roots(settings)
    signature = json.dumps([known.agent_id, *agents, *roots])
    if signature == known.signature:
        return 0
    files = _missing(settings, known.paths, roots)
    note_kept_files(settings, files, signature=signature)
    return len(files)


def _missing(settings: Settings, known: Sequence[str], roots: Sequence[str]) -> list[KeptFile]:
    from loaders import audit
    from loaders.origins import missing_origins

    # A lake that others fill, too, has their files: theirs are not gone from this machine.
    host = settings.host_name if settings.mongo_uri else None
    with audit.lake_rows(settings) as lake:
        return missing_origins(lake, known=known, roots=roots, host=host)
