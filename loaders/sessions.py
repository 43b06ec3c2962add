"""The sessions in custody, read from the published build that is current now."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Literal

from loaders.usage import project_key
from loaders.warehouse import Connection


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


def list_sessions(
    build: Connection,
    *,
    since: date | None = None,
    until: date | None = None,
    project: str | None = None,
    order: Literal["asc", "desc"] = "desc",
    limit: int | None = None,
) -> tuple[Session, ...]:
    """Return the sessions that were active on the days (in UTC), the newest first.

    Sessions without any timestamp are listed last, and only where no day is asked for.
    """
    columns = ", ".join(_qualified(field.name) for field in fields(Session))
    query = f"""
        select {columns}
        from gold.dim_sessions as session
        left join gold.dim_projects as project using (project_key)
        where ($since is null or cast(session.ended_at as date) >= $since)
          and ($until is null or cast(session.started_at as date) <= $until)
          and ($project is null or session.project_key = $project)
        order by session.started_at {order} nulls last, session.session_id
        limit $limit
    """  # noqa: S608 (names are this module's own; values are parameters)
    parameters = {
        "since": since,
        "until": until,
        "project": project_key(build, project) if project else None,
        "limit": limit,
    }
    return tuple(Session(*row) for row in build.execute(query, parameters).fetchall())


def _qualified(column: str) -> str:
    return ("project." if column.startswith("project_") else "session.") + column
