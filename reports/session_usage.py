"""Usage by session, read a block at a time: memory does not grow with the number of sessions.

First every session gets its place in the report, which takes a few bytes for each; then the
figures of one block of places after the other are added up and handed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from loaders.warehouse import Connection
from reports.usage import (
    RESPONSES,
    SUMS,
    WHERE,
    ModelUsage,
    SessionUsage,
    Window,
    dearest_first,
    figures_of,
    parameters_of,
    total,
)

BLOCK_SESSIONS = 10_000

_PLACE = f"""
    create or replace temp table session_places as
    select session_id,
        row_number() over (order by coalesce(sum(cost_nano_usd), 0) desc, session_id) as place
    from {RESPONSES} {WHERE} group by session_id
"""  # noqa: S608 (put together from constants)

_BLOCK = f"""
    select session_id, any_value(project_path), min(occurred_at), max(occurred_at), model_id,
        {SUMS}
    from {RESPONSES} left join gold.dim_projects using (project_key)
    join (from session_places where place between $first and $last) using (session_id)
    {WHERE} group by session_id, place, model_id
    order by place {{order}}
"""  # noqa: S608 (put together from constants)

_MODELS = f"""
    select model_id, {SUMS} from {RESPONSES} {WHERE} group by model_id
"""  # noqa: S608 (put together from constants)


@dataclass(frozen=True, slots=True)
class SessionReport:
    """Usage by session: ``rows`` are read as they are asked for, once.

    ``sessions`` and ``models`` are of all sessions in the window, however many rows there are.
    """

    sessions: int
    models: tuple[ModelUsage, ...]
    rows: Iterator[SessionUsage]


def read_sessions(
    build: Connection, window: Window, *, ascending: bool = False, limit: int | None = None
) -> SessionReport:
    """Return usage by the session that is charged, by cost; ``limit`` bounds the rows."""
    parameters = parameters_of(build, window)
    models = build.execute(_MODELS, parameters).fetchall()
    build.execute(_PLACE, parameters)
    known = build.execute("select count(*) from session_places").fetchone()
    sessions = int(known[0]) if known else 0
    return SessionReport(
        sessions,
        dearest_first(ModelUsage(model_id, figures_of(sums)) for model_id, *sums in models),
        _rows(build, parameters, _blocks(sessions, limit or sessions, ascending=ascending)),
    )


def _blocks(sessions: int, wanted: int, *, ascending: bool) -> Iterator[tuple[int, int, str]]:
    """Yield first and last place of each block and the order in it; place 1 costs most."""
    for start in range(0, min(sessions, wanted), BLOCK_SESSIONS):
        length = min(BLOCK_SESSIONS, wanted - start, sessions - start)
        if ascending:
            yield sessions - start - length + 1, sessions - start, "desc"
        else:
            yield start + 1, start + length, "asc"


def _rows(
    build: Connection, parameters: dict[str, Any], blocks: Iterator[tuple[int, int, str]]
) -> Iterator[SessionUsage]:
    for first, last, order in blocks:
        block = parameters | {"first": first, "last": last}
        rows = build.execute(_BLOCK.format(order=order), block).fetchall()
        for _, group in groupby(rows, key=lambda row: row[0]):
            yield _session(list(group))


def _session(group: list[tuple[Any, ...]]) -> SessionUsage:
    shares = [ModelUsage(row[4], figures_of(row[5:])) for row in group]
    is_single = len(shares) == 1  # as most are
    figures = shares[0].figures if is_single else total(share.figures for share in shares)
    return SessionUsage(
        session_id=group[0][0],
        project_path=group[0][1],
        first_activity=min(row[2] for row in group),
        last_activity=max(row[3] for row in group),
        figures=figures,
        models=dearest_first(shares),
    )
