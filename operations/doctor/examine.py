"""All checks in a row, from the settings to the stores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from annals.errors import AnalyticsError, QualityError, SettingsError
from annals.settings import Settings
from operations.doctor import agent, machine, places, server, state, stores, trust
from operations.doctor.findings import Finding, broken
from operations.doctor.instants import instants

EXIT_FAILED = QualityError.exit_code
"""The exit code where a check failed; doubtful findings alone are 0."""


def examine(settings: Settings) -> list[Finding]:
    """Return what every check found. Changes nothing, and waits at most some seconds for a server.

    Without rights, space or a sound buffer the checks that need them say so; none raises.
    """
    roots = _roots(settings)
    now = agent.standing(settings)
    last_read_at = None if isinstance(now, Finding) else now.last_read_at
    told = (
        [now]
        if isinstance(now, Finding)
        else agent.agent(now, ships=settings.mongo_uri is not None)
    )
    return [
        *machine.versions(),
        *trust.settings_found(settings),
        *_survived("clock", _clock, settings, last_read_at),
        *(found for root in roots for found in agent.transcripts(root)),
        *_survived("places", places.places, settings),
        *(found for root in roots for found in agent.retention(root, last_read_at)),
        *agent.deletions(settings),
        *(found for root in roots for found in machine.watches(root)),
        *_survived("state disk", machine.disk, settings),
        *_survived("owner", state.check_ownership, settings),
        *_survived("privacy", state.privacy, settings),
        *_survived("file system", state.network, settings),
        *_survived("buffer", agent.buffer, settings),
        *told,
        *agent.service(Path(os.path.expanduser("~"))),  # noqa: PTH111 -- never raises
        *_survived("destination", trust.destinations_found, settings),
        *_survived("mongodb", stores.mongo, settings),
        *_survived("prefect", server.prefect, settings),
        *_survived("lake", stores.lake, settings),
    ]


def _roots(settings: Settings) -> tuple[Path, ...]:
    """Return the transcript folders; none if CLAUDE_DIR is wrong, which has a finding already."""
    try:
        return settings.claude_dirs
    except SettingsError:
        return ()


def _clock(settings: Settings, last_read_at: int | None) -> list[Finding]:
    return machine.clock(last_read_at, instants(settings))


def _survived(
    name: str, check: Callable[..., list[Finding]], *arguments: object
) -> Iterable[Finding]:
    """Return what the check found; what it could not look at is a finding too."""
    try:
        return check(*arguments)
    except (OSError, AnalyticsError) as error:
        message = error.message if isinstance(error, AnalyticsError) else str(error)
        remedy = "See the check `owner`, or give this user the right to read it."
        if isinstance(error, SettingsError):
            remedy = error.hint
        return [broken(name, f"cannot be looked at: {message}", remedy=remedy)]
