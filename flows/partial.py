"""What a run that came to its end left undone: the causes of exit code 6, in one place.

The commands end with that code, and a flow run ends in the state ``Partial``, if and only if there
is a cause here.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from annals.errors import PartialError

if TYPE_CHECKING:
    from flows.history import Run

_COUNTERS = {
    "files_unreadable": "{:,} files could not be read",
    "places_unreadable": "{:,} folders could not be read",
    "dead_letters_new": "the server refused {:,} records (`annals sync quarantine list`)",
    "records_quarantined": "{:,} records did not match their ids and are kept as quarantine",
    "records_refused": "{:,} records of the source could not be read and are kept as quarantine",
}
"""Counters of the stages' reports that are 0 if a stage did all its work."""

_SENTENCES = ("missing",)
"""Fields of the reports with a sentence for each thing that is missing."""


def unfinished(*reports: object) -> tuple[str, ...]:
    """Return a sentence for each thing that the stages of these reports could not do.

    A report of several stages is looked through; None stands for a stage that did not run.
    """
    return tuple(cause for report in reports for cause in _causes(report))


def note_unfinished(run: Run, report: object) -> None:
    """Note in the record of the last run that something is left, if so."""
    if causes := unfinished(report):
        run.outcome, run.message = PartialError.__name__, "; ".join(causes)


def _causes(report: object) -> list[str]:
    if not is_dataclass(report):
        return []
    found: list[str] = []
    for item in fields(report):
        value: Any = getattr(report, item.name)
        if item.name in _COUNTERS and value:
            found.append(_COUNTERS[item.name].format(value))
        elif item.name in _SENTENCES:
            found.extend(value)
        else:
            found.extend(_causes(value))
    return found
