"""What usage is grouped by: the dimensions, and the rows of a build that have them.

Every report is two dimensions of this table at most and the same sums, so no report can disagree
with another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")

NO_TOOL = "none"
"""The tool of a response without a call."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One way to group usage.

    ``value`` is SQL over the rows of usage, ``key`` its name in JSON, ``title`` in a table.
    ``needs`` names the parts of the source that have it; empty, the daily sums have it too.
    ``details`` are further columns of a group that has this as its first dimension: name and SQL;
    ``detail_needs`` are the parts of the source that they need beside those.
    """

    name: str
    value: str
    key: str
    title: str
    needs: tuple[str, ...] = ()
    is_time: bool = False
    details: tuple[tuple[str, str], ...] = ()
    detail_needs: tuple[str, ...] = ()


_WEEK = "day - cast((dayofweek(day) - $week_start + 7) % 7 as integer)"
_SPAN = (("first_activity", "min(occurred_at)"), ("last_activity", "max(occurred_at)"))
_VENDOR = (
    ("vendor_cost_nano_usd", "any_value(vendor_cost_nano_usd)"),
    ("vendor_difference_nano_usd", "any_value(vendor_difference_nano_usd)"),
)
"""The vendor's own total of a whole session, and what it has more than ours."""

_CALLS = (
    ("calls", "coalesce(sum(calls), 0)"),
    ("errors", "coalesce(sum(errors), 0)"),
    ("milliseconds", "coalesce(sum(greatest(duration_ms, 0)), 0)"),
)

DIMENSIONS = {
    one.name: one
    for one in (
        Dimension("day", "day", "date", "Day", is_time=True),
        Dimension("week", _WEEK, "week", "Week of", is_time=True),
        Dimension("month", "strftime(day, '%Y-%m')", "month", "Month", is_time=True),
        Dimension(
            "session",
            "session_id",
            "sessionId",
            "Session",
            needs=("responses",),
            details=(("project_path", "any_value(project_path)"), *_SPAN, *_VENDOR),
            detail_needs=("projects", "sessions"),
        ),
        Dimension("model", "model_id", "modelName", "Model"),
        Dimension("project", "project_path", "projectPath", "Project", needs=("projects",)),
        Dimension("branch", "git_branch", "gitBranch", "Branch", needs=("responses", "sessions")),
        Dimension("host", "host", "host", "Host", needs=("responses", "sessions")),
        Dimension("tool", "tool", "toolName", "Tool", needs=("responses", "tools"), details=_CALLS),
    )
}
"""The dimensions by the name that ``--by`` takes."""

SUMS = """
    sum(api_responses),
    sum(input_tokens), sum(output_tokens), sum(cache_write_tokens), sum(cache_read_tokens),
    sum(total_tokens), sum(cost_nano_usd),
    sum(partial_responses), sum(partial_output_tokens),
    sum(unpriced_responses), sum(unpriced_tokens)
"""
"""The sums of a group, in the order of :class:`reports.usage.Figures`."""

_DAYS = "select *, usage_date as day from gold.agg_usage_daily"

_SERVED = ", ".join(
    f"case when quality = 'declined' then 0 else {name}_tokens end as {name}_tokens"
    for name in ("input", "output", "cache_write", "cache_read", "total")
)
"""Tokens of an attempt that its model declined are in no sum; its cost is."""

_RESPONSES = f"""
    select * replace ({_SERVED}), cast(quality <> 'declined' as integer) as api_responses,
        cast(not is_final as integer) as partial_responses,
        case when is_final then 0 else output_tokens end as partial_output_tokens,
        cast(not is_priced as integer) as unpriced_responses,
        case when is_priced or quality = 'declined' then 0 else total_tokens end
            as unpriced_tokens,
        cast(occurred_at at time zone $zone as date) as day
    from gold.fct_api_responses
"""  # noqa: S608 (constants)

_SHARED = (
    *("api_responses", "input_tokens", "output_tokens", "cache_write_tokens"),
    *("cache_read_tokens", "total_tokens", "cost_nano_usd", "partial_responses"),
    *("partial_output_tokens", "unpriced_responses", "unpriced_tokens"),
)
_OF_CALL = ("response_key", "session_id", "project_key", "occurred_at", "day")

_CALL_ROWS = """
    select response_key, session_id, project_key, tool_name, called_at as occurred_at,
        cast(called_at at time zone $zone as date) as day,
        cast(coalesce(is_error, false) as integer) as errors, duration_ms,
        row_number() over (partition by response_key order by called_at, tool_call_key) as place,
        count(*) over (partition by response_key) as calls_in_all
    from gold.fct_tool_calls
"""


_JOINS = {
    "projects": " left join (select project_key, project_path from gold.dim_projects)"
    " using (project_key)",
    "sessions": " left join (select session_id, host, git_branch, vendor_cost_nano_usd,"
    " vendor_difference_nano_usd from gold.dim_sessions) using (session_id)",
}


def parts_of(dimensions: Iterable[Dimension], needs: Iterable[str] = ()) -> set[str]:
    """Return the parts of the source that have these dimensions, and ``needs``, as of a filter."""
    return {part for one in dimensions for part in one.needs} | set(needs)


def source_of(parts: set[str]) -> tuple[str, bool]:
    """Return the rows that have these parts, as SQL, and whether they are the daily sums."""
    rows = _DAYS if "responses" not in parts else _RESPONSES
    if "tools" in parts:
        rows = _with_tools(rows)
    joins = joins_of(parts)
    return f"(select * from ({rows}) {joins})", "responses" not in parts  # noqa: S608 (constants)


def joins_of(parts: set[str]) -> str:
    """Return the joins that add these parts to rows of usage, as SQL."""
    return "".join(join for name, join in _JOINS.items() if name in parts)


def _with_tools(responses: str) -> str:
    """Return a row for each call, and for each response without one.

    The figures of a response are shared among its calls in whole numbers, what is left over to the
    first ones, so their sum stays the response's own.
    """
    number, place = "coalesce(calls_in_all, 1)", "coalesce(place, 1)"
    shares = ", ".join(
        f"coalesce(r.{name} // {number} + cast({place} <= r.{name} % {number} as integer)"
        f"{'' if name == 'cost_nano_usd' else ', 0'}) as {name}"
        for name in _SHARED
    )
    placed = ", ".join(f"coalesce(r.{name}, c.{name}) as {name}" for name in _OF_CALL)
    return f"""
        select {placed}, {shares}, coalesce(r.model_id, 'unknown') as model_id,
            coalesce(c.tool_name, '{NO_TOOL}') as tool,
            cast(c.tool_name is not null as integer) as calls,
            coalesce(c.errors, 0) as errors, c.duration_ms
        from ({responses}) as r
        full join ({_CALL_ROWS}) as c on r.response_key = c.response_key
    """  # noqa: S608 (constants)


def sort_terms(sort: str, dimensions: Sequence[Dimension], *, descending: bool) -> str:
    """Return the ``order by`` of groups; ``name`` is by their keys, the others by a measure.

    Of equal measures, the order of the keys is that of the least first in a descending report.
    """
    keys = [f"key_{number}" for number in range(1, len(dimensions) + 1)]
    if sort == "name":
        direction = "desc nulls last" if descending else "asc nulls first"
        return ", ".join(f"{key} {direction}" for key in keys)
    measure = MEASURES[sort]
    first, then = ("desc", "asc nulls first") if descending else ("asc", "desc nulls last")
    return ", ".join([f"{measure} {first}", *(f"{key} {then}" for key in keys)])


MEASURES = {
    "cost": "coalesce(sum(cost_nano_usd), 0)",
    "tokens": "sum(total_tokens)",
    "output": "sum(output_tokens)",
    "responses": "sum(api_responses)",
}
"""What groups can be sorted by, beside their name."""
