"""Reports on usage, read from the published build that is current now.

Every figure counts each API response once. A cost is None where no response of the group has a
price; where only some have none, their number and tokens stand beside the cost of the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from annals.errors import UsageError
from loaders.warehouse import Connection


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over API responses; tokens are counts, ``cost_nano_usd`` is in 1e-9 USD."""

    responses: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    total_tokens: int = 0
    cost_nano_usd: int | None = None
    partial_responses: int = 0
    partial_output_tokens: int = 0
    unpriced_responses: int = 0
    unpriced_tokens: int = 0

    @property
    def cost_usd(self) -> float | None:
        """The cost in USD; the division is correctly rounded, so it prints as the exact decimal."""
        return None if self.cost_nano_usd is None else self.cost_nano_usd / 1_000_000_000


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """The share of one model."""

    model_id: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class DailyUsage:
    """One day in the report's time zone, with its models, the most expensive first.

    ``day`` is None for responses whose records carry no time that can be read.
    """

    day: date | None
    figures: Figures
    models: tuple[ModelUsage, ...]


@dataclass(frozen=True, slots=True)
class SessionUsage:
    """What one session was charged within the report's days; instants are in UTC."""

    session_id: str
    project_path: str | None
    first_activity: datetime
    last_activity: datetime
    figures: Figures
    models: tuple[ModelUsage, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """Which responses a report counts; both days are included, None leaves that side open.

    ``timezone`` is the IANA zone in which days begin, ``project`` the name, path or key of one.
    """

    timezone: str
    since: date | None = None
    until: date | None = None
    project: str | None = None


SUMS = """
    count(*),
    sum(input_tokens), sum(output_tokens), sum(cache_write_tokens), sum(cache_read_tokens),
    sum(total_tokens), sum(cost_nano_usd),
    count(*) filter (quality = 'partial'),
    coalesce(sum(output_tokens) filter (quality = 'partial'), 0),
    count(*) filter (not is_priced),
    coalesce(sum(total_tokens) filter (not is_priced), 0)
"""

_AGGREGATED_SUMS = """
    sum(api_responses),
    sum(input_tokens), sum(output_tokens), sum(cache_write_tokens), sum(cache_read_tokens),
    sum(total_tokens), sum(cost_nano_usd),
    sum(partial_responses), sum(partial_output_tokens),
    sum(unpriced_responses), sum(unpriced_tokens)
"""

RESPONSES = """
    (select *, cast(occurred_at at time zone $zone as date) as day from gold.fct_api_responses)
"""

WHERE = """
    where ($since is null or day >= $since) and ($until is null or day <= $until)
      and ($project is null or project_key = $project)
"""


def daily(build: Connection, window: Window) -> tuple[DailyUsage, ...]:
    """Return usage by day, oldest first; days without a response are left out.

    What has no time comes before all days, and is in no window that is bounded.
    """
    if build_facts(build).get("timezone") == window.timezone:
        sums, source = _AGGREGATED_SUMS, "(select *, usage_date as day from gold.agg_usage_daily)"
    else:
        sums, source = SUMS, RESPONSES
    query = f"select day, model_id, {sums} from {source} {WHERE} group by 1, 2"  # noqa: S608 (own)
    parameters = parameters_of(build, window)
    if source is not RESPONSES:
        del parameters["zone"]
    rows = build.execute(query, parameters).fetchall()
    days: dict[date | None, list[ModelUsage]] = {}
    for day, model_id, *sums_of_group in rows:
        days.setdefault(day, []).append(ModelUsage(model_id, figures_of(sums_of_group)))
    return tuple(
        DailyUsage(day, total(model.figures for model in days[day]), dearest_first(days[day]))
        for day in sorted(days, key=lambda day: day or date.min)
    )


def models(build: Connection, window: Window) -> tuple[ModelUsage, ...]:
    """Return usage by model, the most expensive first."""
    shares: dict[str, list[Figures]] = {}
    for day in daily(build, window):
        for model in day.models:
            shares.setdefault(model.model_id, []).append(model.figures)
    return dearest_first(ModelUsage(model_id, total(share)) for model_id, share in shares.items())


def total(figures: Iterable[Figures]) -> Figures:
    """Return the sum; its cost is None where no part has one."""
    parts = list(figures)
    costs = [part.cost_nano_usd for part in parts if part.cost_nano_usd is not None]
    summed = {
        field.name: sum(getattr(part, field.name) for part in parts)
        for field in fields(Figures)
        if field.name != "cost_nano_usd"
    }
    return Figures(**summed, cost_nano_usd=sum(costs) if costs else None)


def build_facts(build: Connection) -> dict[str, str]:
    """Return what the build says of itself.

    ``build_id``, ``created_at`` (ISO 8601), ``timezone`` (in which its own days begin),
    ``price_version`` and ``annals_version``.
    """
    names = ("build_id", "created_at", "timezone", "price_version", "annals_version")
    row = build.execute(f"select {', '.join(names)} from meta.build").fetchone()  # noqa: S608 (own)
    known = zip(names, row or (), strict=False)
    return {
        name: value.isoformat() if isinstance(value, datetime) else str(value)
        for name, value in known
        if value is not None
    }


def project_key(build: Connection, name: str) -> str:
    """Return the key of the project with this name, path or key.

    Raises UsageError (exit 2) where there is none, or where the name stands for several.
    """
    found = build.execute(
        "select project_key, project_path from gold.dim_projects"
        " where $name in (project_key, project_name, project_path) order by project_path",
        {"name": name},
    ).fetchall()
    if len(found) == 1:
        return str(found[0][0])
    if found:
        raise UsageError(
            f"{len(found)} projects are called {name!r}",
            hint="Give the path of one: " + ", ".join(str(path) for _, path in found[:5]),
        )
    raise UsageError(
        f"no project is called {name!r}",
        hint="Give its name, path or key as `annals sessions list --json` shows them.",
    )


def parameters_of(build: Connection, window: Window) -> dict[str, Any]:
    """Return the values of ``RESPONSES`` and ``WHERE``; raises as :func:`project_key`."""
    return {
        "since": window.since,
        "until": window.until,
        "project": project_key(build, window.project) if window.project else None,
        "zone": window.timezone,
    }


def figures_of(sums: Iterable[Any]) -> Figures:
    """Return a row of ``SUMS`` as figures."""
    return Figures(*(None if value is None else int(value) for value in sums))  # type: ignore[arg-type]


def dearest_first(shares: Iterable[ModelUsage]) -> tuple[ModelUsage, ...]:
    """Return the shares, the most expensive first."""
    return tuple(
        sorted(shares, key=lambda share: (-(share.figures.cost_nano_usd or 0), share.model_id))
    )
