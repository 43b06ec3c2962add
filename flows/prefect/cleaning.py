"""What Prefect's own code says of our errors, cleaned before it leaves this process.

Prefect quotes exceptions in the states of tasks and in its logs, and sends both to the server. It
makes the words of every state in one function. That is private to Prefect, so it belongs to the
version that requirements/platform.txt pins.
"""

from __future__ import annotations

from collections.abc import Callable

from prefect import states

from annals.secrecy import clean_log_records, hide
from annals.text import one_line

_LONGEST = 20_000
_is_installed: list[bool] = []


def shown_text(text: str) -> str:
    """Return text for the server: lines without secrets and control characters, not too long."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]} ... ({len(text) - _LONGEST:,} more characters)"
    return "\n".join(one_line(line) for line in hide(text).splitlines())


def clean_states_and_logs() -> None:
    """Clean the words of all states and log records of this process from now on."""
    if _is_installed:
        return
    _is_installed.append(True)
    members = vars(states)
    members["format_exception"] = _cleaned(states.format_exception)
    clean_log_records(shown_text)


def _cleaned(function: Callable[..., str]) -> Callable[..., str]:
    return lambda *arguments, **options: shown_text(function(*arguments, **options))
