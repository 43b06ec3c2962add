"""The sessions in custody, read from the published build that is current now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Literal

from loaders.warehouse import Connection
from reports.usage import project_key

_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Session:
    """One session; instants are in UTC, tokens are counts, ``cost_usd`` is None if unpriced."""

    session_id: str
    project_name: str | None
    project_path: str | None
    started_at: datetime | None
    ended_at: datetime | None
    entries: int
    human_turns: int
    api_responses: int
    tool_calls: int
    total_tokens: int
    cost_nano_usd: int | None
    last_model_id: str | None
    git_branch: str | None

    @property
    def cost_usd(self) -> float | None:
        """The cost in USD."""
        return None if self.cost_nano_usd is None else self.cost_nano_usd / 1_000_000_000


@dataclass(frozen=True, slots=True)
class SessionList:
    """Sessions: how many there are in all, and ``rows``, read as they are asked for, once."""

    sessions: int
    rows: Iterator[Session]


def list_sessions(
    build: Connection,
    *,
    since: date | None = None,
    until: date | None = None,
    project: str | None = None,
    order: Literal["asc", "desc"] = "desc",
    limit: int | None = None,
) -> SessionList:
    """Return the sessions that were active on the days (in UTC), the newest first.

    Sessions without any timestamp are listed last, and only where no day is asked for.
    """
    source = """
        from gold.dim_sessions as session
        left join gold.dim_projects as project using (project_key)
        where ($since is null or cast(session.ended_at as date) >= $since)
          and ($until is null or cast(session.started_at as date) <= $until)
          and ($project is null or session.project_key = $project)
    """
    parameters: dict[str, object] = {
        "since": since,
        "until": until,
        "project": project_key(build, project) if project else None,
    }
    known = build.execute(f"select count(*) {source}", parameters).fetchone()
    columns = ", ".join(_qualified(field.name) for field in fields(Session))
    query = f"""
        select {columns} {source}
        order by session.started_at {order} nulls last, session.session_id
        limit $limit
    """
    return SessionList(int(known[0]) if known else 0, _rows(build, query, parameters, limit))


def find_session(build: Connection, session_id: str) -> Session | None:
    """Return a session by its whole id, None if the build does not have it."""
    columns = ", ".join(_qualified(field.name) for field in fields(Session))
    row = build.execute(
        f"select {columns} from gold.dim_sessions as session"  # noqa: S608 (names of fields)
        " left join gold.dim_projects as project using (project_key)"
        " where session.session_id = ?",
        [session_id],
    ).fetchone()
    return Session(*row) if row else None


def _rows(
    build: Connection, query: str, parameters: dict[str, object], limit: int | None
) -> Iterator[Session]:
    result = build.execute(query, parameters | {"limit": limit})
    while rows := result.fetchmany(_ROWS_AT_ONCE):
        yield from (Session(*row) for row in rows)


def _qualified(column: str) -> str:
    return ("project." if column.startswith("project_") else "session.") + column
