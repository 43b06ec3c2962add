"""Usage of a published build by one or two dimensions, read a block of groups at a time.

First every group gets its place in the report, which takes a few bytes for each; then the figures
of one block of places after the other are added up and handed on. So memory does not grow with the
number of groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

from loaders.warehouse import Connection
from reports.dimensions import (
    DIMENSIONS,
    SUMS,
    WEEKDAYS,
    Dimension,
    joins_of,
    parts_of,
    sort_terms,
    source_of,
)
from reports.usage import (
    Figures,
    ModelUsage,
    Window,
    build_facts,
    dearest_first,
    figures_of,
    known_host,
    known_models,
    project_key,
    total,
)

BLOCK_GROUPS = 10_000

_BY_MODEL = f"select model_id, {SUMS} from usage group by model_id"  # noqa: S608 (constants)


@dataclass(frozen=True, slots=True)
class Question:
    """What a report asks: dimensions by name, the responses it counts, the order of its rows.

    ``week_start`` is the English name of the day on which weeks begin.
    """

    window: Window
    by: tuple[str, ...]
    sort: str = "name"
    descending: bool = False
    limit: int | None = None
    week_start: str = "sunday"

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The dimensions."""
        return tuple(DIMENSIONS[name] for name in self.by)


@dataclass(frozen=True, slots=True)
class Group:
    """One row: the value of each dimension, None where it is not known, and the sums.

    ``details`` are those of the first dimension; instants are in UTC. ``models`` are its parts, the
    most expensive first.
    """

    keys: tuple[Any, ...]
    details: Mapping[str, Any]
    figures: Figures
    models: tuple[ModelUsage, ...]


@dataclass(frozen=True, slots=True)
class UsageReport:
    """The groups, read once as they are asked for.

    ``groups`` and ``models`` are of all there are, however many rows there are.
    """

    groups: int
    models: tuple[ModelUsage, ...]
    rows: Iterator[Group]


def read_usage(build: Connection, question: Question) -> UsageReport:
    """Return usage by the dimensions of the question.

    Responses without a time are a group of their own where a day, week or month is asked for, and
    in no window that is bounded.
    Raises UsageError (exit 2) for a project, host or model that is not there.
    """
    query = _Query(build, question)
    shares = query.run(_BY_MODEL).fetchall()
    groups = query.place()
    return UsageReport(
        groups,
        dearest_first(ModelUsage(model_id, figures_of(sums)) for model_id, *sums in shares),
        query.rows(min(groups, question.limit or groups)),
    )


def usage_rows(build: Connection, window: Window, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query over the responses of the window, called ``usage``."""
    conditions, values, needs = _filters(build, window)
    source, _ = source_of({*needs, "responses"})
    rows = f"with usage as (from {source} where {' and '.join(conditions) or 'true'}) "
    return build.execute(rows + query, values | {"zone": window.timezone}).fetchall()


def daily(build: Connection, window: Window) -> tuple[Group, ...]:
    """Return usage by day, oldest first; what has no time comes first, with the day None."""
    return tuple(read_usage(build, Question(window, ("day",))).rows)


def models(build: Connection, window: Window) -> tuple[ModelUsage, ...]:
    """Return usage by model, the most expensive first."""
    return read_usage(build, Question(window, ("model",))).models


def days_of(build: Connection) -> tuple[date | None, date | None]:
    """Return the first and the last day with usage, None for both where there is none."""
    row = build.execute("select min(usage_date), max(usage_date) from gold.agg_usage_daily")
    first, last = row.fetchall()[0]
    return first, last


class _Query:
    """The queries of one report over the same rows of usage."""

    def __init__(self, build: Connection, question: Question) -> None:
        self._build, self._question = build, question
        self._dimensions = question.dimensions
        conditions, values, needs = _filters(build, question.window)
        if build_facts(build).get("timezone") != question.window.timezone:
            needs = (*needs, "responses")
        parts = parts_of(self._dimensions, needs)
        source, is_daily = source_of(parts)
        self._detail_joins = joins_of(set(self._dimensions[0].detail_needs) - parts)
        if not is_daily:
            values["zone"] = question.window.timezone
        if "$week_start" in "".join(one.value for one in self._dimensions):
            values["week_start"] = WEEKDAYS.index(question.week_start)
        keys = (f"{one.value} as key_{i}" for i, one in enumerate(self._dimensions, start=1))
        self._values = values
        self._keys = ", ".join(f"key_{i + 1}" for i in range(len(self._dimensions)))
        self._with = (
            f"with usage as (select *, {', '.join(keys)} from {source}"  # noqa: S608 (constants)
            f" where {' and '.join(conditions) or 'true'}) "
        )

    def run(self, query: str, **values: Any) -> Connection:
        """Run a query over the rows ``usage``."""
        return self._build.execute(self._with + query, self._values | values)

    def place(self) -> int:
        """Give every group its place, and return how many there are."""
        question = self._question
        terms = sort_terms(question.sort, self._dimensions, descending=question.descending)
        self._build.execute(
            f"create or replace temp table usage_places as {self._with}"  # noqa: S608 (constants)
            f" select {self._keys}, row_number() over (order by {terms}) as place"
            f" from usage group by {self._keys}",
            self._values,
        )
        row = self._build.execute("select count(*) from usage_places").fetchone()
        return int(row[0]) if row else 0

    def rows(self, wanted: int) -> Iterator[Group]:
        """Read the first ``wanted`` groups, a block at a time."""
        names = [name for name, _ in self._dimensions[0].details]
        details = "".join(f"{value}, " for _, value in self._dimensions[0].details)
        pairs = (f"usage.{key} is not distinct from placed.{key}" for key in self._keys.split(", "))
        query = (
            f", chosen as (select usage.*, place from usage join (from usage_places"  # noqa: S608
            f" where place between $first and $last) as placed on {' and '.join(pairs)})"
            f" select place, {self._keys}, {details} model_id, {SUMS}"
            f" from chosen {self._detail_joins} group by place, {self._keys}, model_id"
            " order by place, model_id"
        )
        for first in range(1, wanted + 1, BLOCK_GROUPS):
            last = min(first + BLOCK_GROUPS - 1, wanted)
            block = self.run(query, first=first, last=last).fetchall()
            for _, rows in groupby(block, key=lambda row: row[0]):
                yield _group(list(rows), len(self._dimensions), names)


def _filters(
    build: Connection, window: Window
) -> tuple[list[str], dict[str, Any], tuple[str, ...]]:
    """Return conditions, their values, and the parts of the source that they need."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    needs: tuple[str, ...] = ()
    if window.since:
        conditions.append("day >= $since")
        values["since"] = window.since
    if window.until:
        conditions.append("day <= $until")
        values["until"] = window.until
    if window.project:
        conditions.append("project_key = $project")
        values["project"] = project_key(build, window.project)
    if window.model:
        conditions.append("list_contains($models, model_id)")
        values["models"] = known_models(build, window.model)
    if window.host:
        conditions.append("host = $host")
        values["host"], needs = known_host(build, window.host), ("responses", "sessions")
    return conditions, values, needs


def _group(rows: list[tuple[Any, ...]], dimensions: int, names: list[str]) -> Group:
    """Return the rows of one group, one for each model, as that group."""
    begin = 1 + dimensions
    model = begin + len(names)
    shares = [ModelUsage(row[model], figures_of(row[model + 1 :])) for row in rows]
    is_single = len(shares) == 1  # as most are
    return Group(
        keys=rows[0][1:begin],
        details={
            name: _merged(name, [row[begin + i] for row in rows]) for i, name in enumerate(names)
        },
        figures=shares[0].figures if is_single else total(share.figures for share in shares),
        models=dearest_first(shares),
    )


def _merged(name: str, values: list[Any]) -> Any:
    """Return a detail of a group from those of its models; None where none has it."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    if name == "last_activity":
        return max(known)
    if name in ("first_activity", "project_path") or name.startswith("vendor_"):
        return min(known)
    return sum(map(int, known))
