"""What a run leaves in Prefect: a summary, a table of checks, and links."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from annals.errors import AnalyticsError, PartialError
from annals.secrecy import link_address
from annals.settings import Settings
from annals.text import markdown
from flows.partial import unfinished
from flows.prefect.outcome import PARTIAL, words
from flows.prefect.work import Work, counters
from flows.status import Status, status
from flows.validation.checks import Check
from flows.validation.promises import ValidationReport

SUMMARY = "pipeline-summary"
CHECKS = "quality-checks"
DOCS = "dbt-docs"
_LINKS = f"Every run: [summary](/artifacts/key/{SUMMARY}), [checks](/artifacts/key/{CHECKS})."
"""Pages of Prefect's own UI, by paths of the same server."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table of checks."""

    name: str
    verdict: str
    promise: str
    figures: str


@contextlib.contextmanager
def left(work: Work) -> Iterator[None]:
    """Leave the artifacts of a run, whichever way the body ends: one that failed says of what."""
    try:
        yield
    except AnalyticsError as error:
        verdict = PARTIAL if isinstance(error, PartialError) else "Failed"
        with contextlib.suppress(AnalyticsError):  # what went wrong may go wrong here, too
            leave(work, verdict=f"**{verdict}:** {markdown(words(error))}")
        raise
    causes = unfinished(*work.reports.values())
    leave(work, verdict=f"**{PARTIAL}:** {markdown('; '.join(causes))}" if causes else "")


def leave(work: Work, *, verdict: str = "") -> None:
    """Leave summary, checks and link of a run: of the stages that have reported so far."""
    now = status(work.settings)
    docs = link_address(work.settings.dbt_docs_url)
    create_markdown_artifact(
        markdown=_summary(work, now, verdict),
        key=SUMMARY,
        description=f"What each stage did, and what waits. {_LINKS} [dbt docs]({docs})",
    )
    _leave_checks(_rows_of(work, now))
    create_link_artifact(
        link=docs,
        link_text="dbt docs: every model",
        key=DOCS,
        description="Models, columns and tests, as dbt describes them.",
    )


def _rows_of(work: Work, now: Status) -> Iterable[Row]:
    """Return every check of a validation, and of other runs what they can afford to look at."""
    validated = work.reports.get("validate")
    if isinstance(validated, ValidationReport):
        return [_row_of(check) for check in validated.checks]
    return [*_at_a_glance(now), *_prices(work.settings)]


def _leave_checks(rows: Iterable[Row]) -> None:
    table = [
        {"check": row.name, "verdict": row.verdict, "promise": row.promise, "figures": row.figures}
        for row in rows
    ]
    create_table_artifact(
        table=table, key=CHECKS, description=f"What was checked, and the result. {_LINKS}"
    )


def _row_of(check: Check) -> Row:
    verdict = "skipped" if check.skipped else "FAILED" if check.faults else "ok"
    told = check.skipped or "; ".join(check.faults) or _told(check.figures)
    return Row(check.name, verdict, check.promise, markdown(told))


def _told(figures: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in figures.items())


def _summary(work: Work, now: Status, verdict: str) -> str:
    lines = [verdict, ""] if verdict else []
    lines += ["| stage | seconds | rows | bytes |", "|---|---:|---:|---:|"]
    done = []
    for stage, report in work.reports.items():
        figures = counters(report)
        row = f"{stage} | {work.seconds[stage]:.2f} | {_rows(figures):,} | {_bytes(figures):,}"
        lines.append(f"| {row} |")
        done.append(f"- {stage}: {_told(figures)}")
    lines += ["", *done]  # beside the table: a page would cut its widest column
    lag = _told(now.lag) if any(now.lag.values()) else "nothing waits"
    lines += ["", f"**Lag:** {lag}", "", f"**Data quality:** {_quality(now)}"]
    build = markdown(str((now.build or {}).get("build_id", "none yet")))
    lines += ["", f"**Build:** {build}"]
    lines += [f"\n**Not readable:** {markdown(name)}" for name in now.unreadable]
    return "\n".join(lines)


def _rows(figures: Mapping[str, int]) -> int:
    names = ("records_read", "records_shipped", "rows_scanned", "entries_new", "tables")
    return next((figures[name] for name in names if name in figures), 0)


def _bytes(figures: Mapping[str, int]) -> int:
    return sum(number for name, number in figures.items() if name.startswith("bytes_"))


def _quality(now: Status) -> str:
    kept = now.custody
    if kept is None:
        return "the transcripts are not on this machine"
    return (
        f"{kept.entries:,} entries and {kept.quarantined:,} quarantined ranges of"
        f" {kept.files:,} files; {kept.pending_bytes:,} bytes pending"
    )


def _at_a_glance(now: Status) -> Iterable[Row]:
    """Check what every run can afford to."""
    kept = now.custody
    if kept is not None:
        judged = kept.entry_bytes + kept.quarantined_bytes + kept.separator_bytes
        same = kept.balanced and judged + kept.pending_bytes == kept.bytes_on_disk
        told = _told({"judged": judged, "pending": kept.pending_bytes, "disk": kept.bytes_on_disk})
        yield Row("ledger", _verdict(ok=same), "the ledger adds up to the bytes on disk", told)
        yield Row(
            "quarantine",
            _verdict(ok=not kept.quarantined),
            "every range of every file is an entry",
            _told({"ranges": kept.quarantined, "bytes": kept.quarantined_bytes}),
        )
    waits = {name: number for name, number in now.lag.items() if name != "bytes"}
    ok = not any(waits.values())
    yield Row("lag", _verdict(ok=ok), "what was read is in the build", _told(now.lag))


def _prices(settings: Settings) -> Iterable[Row]:
    """Say of the published build how much of it is priced and final."""
    from loaders.warehouse import open_build
    from reports import groups, usage

    with contextlib.suppress(AnalyticsError), contextlib.closing(open_build(settings)) as build:
        models = groups.models(build, usage.Window(settings.timezone))
        sums = usage.total(model.figures for model in models)
        figures = {"responses": sums.responses, "unpriced": sums.unpriced_responses}
        ok = not sums.unpriced_responses
        yield Row("prices", _verdict(ok=ok), "every response has a price", _told(figures))
        partial = {"responses": sums.responses, "partial": sums.partial_responses}
        ok = not sums.partial_responses
        yield Row("responses", _verdict(ok=ok), "every response was seen to end", _told(partial))


def _verdict(*, ok: bool) -> str:
    return "ok" if ok else "look at it"
