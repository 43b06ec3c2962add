"""Asking before data leaves this machine for a place that was never allowed."""

from __future__ import annotations

import contextlib
import sys

from annals.errors import AnalyticsError, SettingsError
from annals.settings import Settings
from annals.settings.allowed import add_allowed
from annals.settings.destinations import Judgement, judge, refusal
from annals.text import one_line
from sync_agent.agent.agent_status import sync_status
from sync_agent.shipping.recognition import recognizes_buffer


def confirm_destinations(settings: Settings, *names: str) -> None:
    """Ask for every place of these settings that nothing allows; on a terminal, else refuse.

    An answer of yes is kept in ``allowed.json``. Raises SettingsError (exit 3) with the command
    that allows the place. What cannot be judged is refused where it is used.
    """
    for name in names:
        judged: tuple[Judgement, ...] = ()
        with contextlib.suppress(SettingsError):
            judged = judge(settings, name)
        refused = [found for found in judged if found.allowed_by is None]
        if not refused:
            continue
        is_known = name == "mongo_uri" and _is_known(settings)
        for found in refused:
            _settle(settings, found, is_known=is_known)


def _settle(settings: Settings, found: Judgement, *, is_known: bool) -> None:
    """Allow a place that holds our records already, or that somebody says yes to; else raise."""
    if is_known:
        add_allowed(settings, found.destination, "acknowledged")
        return
    records = _records(settings, found)
    error = refusal(found, f"; {records}" if records else "")
    if not _is_answered_yes(error.message, found):
        raise error
    add_allowed(settings, found.destination, "answer")


def _is_known(settings: Settings) -> bool:
    return recognizes_buffer(settings)


def _is_answered_yes(message: str, found: Judgement) -> bool:
    """Ask on the terminal; without one the answer is no."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    question = f"Send data to {found.destination} from now on? [y/N] "
    sys.stderr.write(f"{one_line(message)}.\n{one_line(question)}")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _records(settings: Settings, found: Judgement) -> str:
    """Return how many records would go there at once."""
    if found.setting != "MONGO_URI":
        return ""
    with contextlib.suppress(AnalyticsError):
        pending = sync_status(settings).pending
        return f"{pending:,} records of the buffer, and every later one, would go there"
    return "every record would go there"
