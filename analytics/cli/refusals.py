"""What an extraction refused, for people: on standard error, and as the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from analytics.cli.output import tell
from annals.errors import PartialError

if TYPE_CHECKING:
    from extractors.extract import ExtractReport

_HINT = (
    "hint: they are kept as quarantined records. If the agent still has the transcript,"
    " `annals sync replay FILE` ships it again."
)


def warn_of_refusals(report: ExtractReport) -> None:
    """Print which records were refused, and why."""
    from analytics.cli.tables import make_printable

    for refusal in report.refusals:
        tell(f"warning: refused {make_printable(refusal)}")
    if more := report.records_refused - len(report.refusals):
        tell(f"warning: {more} more records were refused")
    if report.records_refused:
        tell(_HINT)
    if report.reshipped:
        lost = f"{report.reshipped:,} records that MongoDB acknowledged were missing there"
        tell(f"warning: {lost}; they were shipped again, see `annals doctor`")
    for sentence in report.missing:
        tell(f"warning: {make_printable(sentence)}")


def leave_if_partial(*reports: object) -> None:
    """End with exit code 6 if the stages of these reports left something undone."""
    from flows.partial import unfinished

    if unfinished(*reports):
        raise typer.Exit(PartialError.exit_code)
