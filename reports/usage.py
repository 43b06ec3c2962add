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
class Window:
    """Which responses a report counts; both days are included, None leaves that side open.

    ``timezone`` is the IANA zone in which days begin, ``project`` the name, path or key of one,
    ``host`` the name of a machine, ``model`` the id of a model or a part of it.
    """

    timezone: str
    since: date | None = None
    until: date | None = None
    project: str | None = None
    host: str | None = None
    model: str | None = None


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


def known_models(build: Connection, name: str) -> list[str]:
    """Return the ids of the models that ``name`` means: that one, else all that contain it.

    Raises UsageError (exit 2) where there is none.
    """
    rows = build.execute("select model_id from gold.dim_models order by 1").fetchall()
    ids = [model_id for (model_id,) in rows]
    named = [name] if name in ids else [one for one in ids if name.lower() in one.lower()]
    if not named:
        raise UsageError(
            f"no model is called {name!r}",
            hint="Give a model, or a part of its name: " + (", ".join(ids[:10]) or "none is known"),
        )
    return named


def known_host(build: Connection, name: str) -> str:
    """Return ``name`` if it is a machine of the build; raises UsageError (exit 2) otherwise."""
    rows = build.execute(
        "select distinct host from gold.dim_sessions where host is not null order by 1"
    ).fetchall()
    hosts = [host for (host,) in rows]
    if name not in hosts:
        raise UsageError(
            f"no host is called {name!r}",
            hint="Give one of: " + (", ".join(hosts[:10]) or "none is known"),
        )
    return name


def figures_of(sums: Iterable[Any]) -> Figures:
    """Return a row of sums, in the order of the fields, as figures."""
    return Figures(*(None if value is None else int(value) for value in sums))  # type: ignore[arg-type]


def dearest_first(shares: Iterable[ModelUsage]) -> tuple[ModelUsage, ...]:
    """Return the shares, the most expensive first."""
    return tuple(
        sorted(shares, key=lambda share: (-(share.figures.cost_nano_usd or 0), share.model_id))
    )
