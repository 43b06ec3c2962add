"""The agent's metrics: their names, their meaning, and where each is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from annals.telemetry import exposition
from annals.telemetry.exposition import Metric, Samples
from sync_agent.agent.observation import Observation


def _one(read: Callable[[Observation], float]) -> Callable[[Observation], Samples]:
    return lambda seen: [({}, read(seen))]


def _labelled(label: str, values: Mapping[str, float]) -> Samples:
    return (({label: key}, value) for key, value in values.items())


def _watchers(seen: Observation) -> Iterator[tuple[Mapping[str, str], float]]:
    for number, state in enumerate(seen.roots.values()):
        word = "active" if state.is_active else "idle"
        yield {"root": str(number), "mode": state.mode, "state": word}, 1


METRICS: tuple[Metric[Observation], ...] = (
    Metric(
        "component_received_events_total",
        "counter",
        "Entries read from transcripts by this process.",
        _one(lambda seen: seen.entries),
    ),
    Metric(
        "component_received_bytes_total",
        "counter",
        "Bytes read from transcripts by this process, comparisons included.",
        _one(lambda seen: seen.bytes_read),
    ),
    Metric(
        "component_verified_bytes_total",
        "counter",
        "Bytes of grown files that were read again to verify them.",
        _one(lambda seen: seen.bytes_verified),
    ),
    Metric(
        "component_quarantined_events_total",
        "counter",
        "Ranges of bytes that are not an entry, kept as they are.",
        _one(lambda seen: seen.quarantined),
    ),
    Metric(
        "component_file_events_total",
        "counter",
        "What happened to files: discovered, grown, moved, replaced, vanished, returned.",
        lambda seen: _labelled("event", seen.events),
    ),
    Metric(
        "component_sent_events_total",
        "counter",
        "Records shipped to the server by this process.",
        _one(lambda seen: seen.shipped),
    ),
    Metric(
        "component_errors_total",
        "counter",
        "Errors by kind; after each of them the data is where it was.",
        lambda seen: _labelled("kind", seen.errors_in_all),
    ),
    Metric(
        "component_commits_total",
        "counter",
        "Transactions written to the buffer.",
        _one(lambda seen: seen.commits),
    ),
    Metric(
        "watch_missed_total",
        "counter",
        "Changes that no event told of, found by a full round.",
        _one(lambda seen: seen.missed),
    ),
    Metric(
        "component_pipeline_runs_total",
        "counter",
        "Pipeline runs that were asked for and succeeded (PIPELINE_TRIGGER).",
        _one(lambda seen: seen.pipeline.runs if seen.pipeline else 0),
    ),
    Metric(
        "component_pipeline_failures_total",
        "counter",
        "Pipeline runs that failed or could not be asked for (PIPELINE_TRIGGER).",
        _one(lambda seen: seen.pipeline.failures if seen.pipeline else 0),
    ),
    Metric(
        "component_synced_events",
        "gauge",
        "Records that every consumer has, over the buffer's lifetime.",
        _one(lambda seen: seen.figures.synced),
    ),
    Metric(
        "buffer_events",
        "gauge",
        "Records in the buffer that some consumer does not have yet.",
        _one(lambda seen: seen.figures.pending),
    ),
    Metric(
        "buffer_byte_size",
        "gauge",
        "Bytes of the buffer's file and its log.",
        _one(lambda seen: seen.figures.bytes),
    ),
    Metric(
        "component_dead_letters",
        "gauge",
        "Records that the server refused.",
        _one(lambda seen: seen.dead_letters),
    ),
    Metric(
        "component_lag_bytes",
        "gauge",
        "Bytes on disk that are not read yet, unfinished last lines included.",
        _one(lambda seen: seen.lag_bytes),
    ),
    Metric(
        "component_files_watched",
        "gauge",
        "Transcripts below the watched folders.",
        _one(lambda seen: sum(state.files for state in seen.roots.values())),
    ),
    Metric(
        "component_watcher_info",
        "gauge",
        "1 for each watched folder, with its mode (events, poll, missing) and state.",
        _watchers,
    ),
    Metric(
        "component_connected",
        "gauge",
        "1 while the server answers, else 0.",
        _one(lambda seen: int(seen.mongo_connected)),
    ),
    Metric(
        "component_processing_milliseconds",
        "gauge",
        "Milliseconds that working on a file event takes, on the average.",
        _one(lambda seen: seen.average_ms),
    ),
    Metric(
        "component_uptime_seconds",
        "gauge",
        "Seconds since the agent was started.",
        _one(lambda seen: seen.uptime),
    ),
)
"""Every metric, in the order of the answer."""


def metrics_of(seen: Observation) -> str:
    """Return all metrics as text."""
    return exposition.exposition(METRICS, lambda: seen)
