"""The sessions in custody, read from the published build that is current now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Literal

from loaders.warehouse import TITLES, Connection
from reports.usage import known_host, known_models, project_key

_ROWS_AT_ONCE = 1000

SORTS = {
    "started": "started_at",
    "ended": "ended_at",
    "cost": "cost_nano_usd",
    "tokens": "total_tokens",
    "minutes": "active_minutes",
    "prompts": "human_turns",
    "errors": "errors",
}
"""What sessions are sorted by, and the column that has it."""


@dataclass(frozen=True, slots=True)
class Session:
    """One session; instants are in UTC, tokens are counts, ``cost_usd`` is None if unpriced.

    ``title_source`` says where the title is from: custom, ai, summary or prompt. ``errors`` are
    those of the API and of tool calls.
    """

    session_id: str
    title: str | None
    title_source: str | None
    project_name: str | None
    project_path: str | None
    started_at: datetime | None
    ended_at: datetime | None
    active_minutes: int
    entries: int
    human_turns: int
    api_responses: int
    tool_calls: int
    errors: int
    total_tokens: int
    cost_nano_usd: int | None
    last_model_id: str | None
    git_branch: str | None
    host: str | None

    @property
    def cost_usd(self) -> float | None:
        """The cost in USD."""
        return None if self.cost_nano_usd is None else self.cost_nano_usd / 1_000_000_000


@dataclass(frozen=True, slots=True)
class SessionList:
    """Sessions: how many there are in all, and ``rows``, read as they are asked for, once."""

    sessions: int
    rows: Iterator[Session]


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Which sessions are listed: those that fit everything that is given.

    Days are in UTC, and a session fits if it was active on one of them; ``active_after`` is an
    instant. ``model`` is one that the session used.
    """

    since: date | None = None
    until: date | None = None
    project: str | None = None
    branch: str | None = None
    host: str | None = None
    model: str | None = None
    active_after: datetime | None = None


_COLUMNS = {
    "title": "reading.title",
    "title_source": "reading.title_source",
    "project_name": "project.project_name",
    "project_path": "project.project_path",
    "errors": "session.api_errors + session.tool_errors as errors",
}
_SOURCE = f"""
    from gold.dim_sessions as session
    left join gold.dim_projects as project using (project_key)
    left join {TITLES} as reading using (session_id)
"""
_CONDITIONS = """
    ($since is null or cast(session.ended_at as date) >= $since)
    and ($until is null or cast(session.started_at as date) <= $until)
    and ($project is null or session.project_key = $project)
    and ($branch is null or session.git_branch = $branch)
    and ($host is null or session.host = $host)
    and ($active_after is null or session.ended_at > $active_after)
    and ($models is null or session.session_id in (
        select session_id from gold.fct_api_responses where list_contains($models, model_id)))
"""


def list_sessions(
    build: Connection,
    wanted: SessionFilter,
    *,
    sort: str = "started",
    order: Literal["asc", "desc"] = "desc",
    limit: int | None = None,
) -> SessionList:
    """Return the sessions that fit, by one of :data:`SORTS`.

    Sessions without the value come last; those without any timestamp fit no window. ``build`` is
    opened with titles. Raises UsageError (exit 2) for a project, host or model that is not there.
    """
    values = _values(build, wanted)
    source = f"{_SOURCE} where {_CONDITIONS}"
    known = build.execute(f"select count(*) {source}", values).fetchone()
    query = (
        f"select {_columns()} {source}"
        f" order by {SORTS[sort]} {order} nulls last, session_id limit $limit"
    )
    return SessionList(
        int(known[0]) if known else 0, _rows(build, query, values | {"limit": limit})
    )


def find_session(build: Connection, session_id: str) -> Session | None:
    """Return a session by its whole id, None if the build does not have it."""
    query = f"select {_columns()} {_SOURCE} where session.session_id = ?"
    row = build.execute(query, [session_id]).fetchone()
    return Session(*row) if row else None


def _values(build: Connection, wanted: SessionFilter) -> dict[str, Any]:
    return {
        "since": wanted.since,
        "until": wanted.until,
        "project": project_key(build, wanted.project) if wanted.project else None,
        "branch": wanted.branch,
        "host": known_host(build, wanted.host) if wanted.host else None,
        "models": known_models(build, wanted.model) if wanted.model else None,
        "active_after": wanted.active_after,
    }


def _columns() -> str:
    return ", ".join(_COLUMNS.get(one.name, f"session.{one.name}") for one in fields(Session))


def _rows(build: Connection, query: str, values: dict[str, Any]) -> Iterator[Session]:
    result = build.execute(query, values)
    while rows := result.fetchmany(_ROWS_AT_ONCE):
        yield from (Session(*row) for row in rows)
