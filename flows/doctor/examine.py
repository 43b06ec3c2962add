"""All checks in a row, from the settings to the stores."""

from __future__ import annotations

from pathlib import Path

from analytics.errors import QualityError
from analytics.settings import Settings
from analytics.settings.misspelt import misspelt
from flows.doctor import agent, machine, stores
from flows.doctor.findings import Finding, doubtful, fine

EXIT_FAILED = QualityError.exit_code
"""The exit code where a check failed; doubtful findings alone are 0."""


def examine(settings: Settings) -> list[Finding]:
    """Return what every check found. Changes nothing, and waits at most some seconds for a server.

    Without rights, space or a sound buffer the checks that need them say so; none raises.
    """
    roots = settings.claude_dirs
    now = agent.standing(settings)
    last_read_at = None if isinstance(now, Finding) else now.last_read_at
    told = (
        [now]
        if isinstance(now, Finding)
        else agent.agent(now, ships=settings.mongo_uri is not None)
    )
    return [
        *machine.versions(),
        *_settings(),
        *machine.clock(last_read_at),
        *(found for root in roots for found in agent.transcripts(root)),
        *(found for root in roots for found in agent.retention(root, last_read_at)),
        *(found for root in roots for found in machine.watches(root)),
        *machine.disk(settings),
        *agent.buffer(settings),
        *told,
        *agent.service(Path.home()),
        *stores.mongo(settings),
        *stores.lake(settings),
    ]


def _settings() -> list[Finding]:
    """Return that the settings are valid, for else nobody could ask, and what looks like one."""
    remedy = "Correct the name; `annals config show` lists them. Else set the one it looks like."
    return [
        fine("settings", "all valid; `annals config show --origin` lists them"),
        *(doubtful("settings", says, remedy=remedy) for says in misspelt()),
    ]
