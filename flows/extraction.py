"""Extraction, and before it the question whether the source still has what it acknowledged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from annals.settings import Settings
from annals.telemetry import Progress
from flows.vanished import note_vanished

if TYPE_CHECKING:
    from extractors.extract import ExtractReport
    from extractors.shortfall import Shortfall


def extract_all(settings: Settings, progress: Progress, *, full_backfill: bool) -> ExtractReport:
    """Extract; what a server lost is sent again first, if the buffer of this machine has it.

    What stays missing is passed and noted in the lake, so that it is appended if it comes back;
    the report names it. With ``full_backfill`` nothing is noted: the lake goes on without it.
    Files that only the lake knows are noted in the buffer.
    """
    report = _extract_all(settings, progress, full_backfill=full_backfill)
    note_vanished(settings)
    return report


def _extract_all(settings: Settings, progress: Progress, *, full_backfill: bool) -> ExtractReport:
    from extractors.extract import extract

    if settings.mongo_uri is None:
        return extract(settings, full_backfill=full_backfill, progress=progress)
    lost, reshipped = _restored(settings)
    missing = {} if full_backfill else lost.missing
    report = extract(settings, full_backfill=full_backfill, missing=missing, progress=progress)
    if lost.returned and not full_backfill:
        late = extract(settings, full_backfill=True, missing=missing, progress=progress)
        report = late.with_earlier(report)
    return replace(report, missing=lost.sentences(settings.mongo_db), reshipped=reshipped)


def restore_lost(settings: Settings, *, gives_up: bool) -> int:
    """Send again whatever the server lost of this buffer, at its positions; return how many.

    With ``gives_up`` what the buffer no longer has is noted on the server as lost: it travels under
    other positions, if its file still has it. Raises DependencyError if the server does not answer.
    """
    from contextlib import closing

    from annals.records.seq_ranges import join_ranges, subtract_ranges
    from extractors.mongo import MongoSource
    from sync_agent.shipping.restoring import acknowledged_here, note_lost, restore_documents

    if settings.mongo_uri is None or not settings.sqlite_path.exists():
        return 0
    agent, through = acknowledged_here(settings)
    with closing(MongoSource(settings)) as source:
        absent = source.absent().get(agent) or ()
        held = source.held(agent, after=0, through=through)
        sent = restore_documents(settings, agent, subtract_ranges([(1, through)], (*absent, *held)))
        held = source.held(agent, after=0, through=through)
    lost = subtract_ranges([(1, through)], (*absent, *held))
    if gives_up and lost:
        note_lost(settings, agent, join_ranges((*lost, *absent)))
    return sent


def _restored(settings: Settings) -> tuple[Shortfall, int]:
    """Send again what is missing on the server; return what still is, and how much was sent."""
    from extractors.shortfall import find_shortfall
    from sync_agent.shipping.restoring import restore_documents

    lost = find_shortfall(settings)
    sent = sum(restore_documents(settings, *one) for one in lost.missing.items())
    if not sent:
        return lost, 0
    found = find_shortfall(settings)
    return replace(found, returned=found.returned or lost.returned), sent
