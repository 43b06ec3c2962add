"""Usage reports as JSON with the keys of ccusage 20, and as CSV.

Where ccusage has no key, ours is added beside its own: ``quality`` in every row and at the top
says how much is partial or has no price. A cost is null where nothing in it has a price.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from analytics.cli.tables import instant
from annals.text import one_line
from reports import usage
from reports.dimensions import Dimension
from reports.groups import Group
from reports.usage import Figures, ModelUsage

UNDATED = "undated"
_BEGINS_A_FORMULA = tuple("=+-@")
_PLAIN_NAME = re.compile(r"[-+@][\w@./ -]*")


def dimension_value(dimension: Dimension, value: Any) -> Any:
    """Return the key of a group as a member: days in ISO 8601, null where it is not known."""
    if dimension.is_time:
        return str(value) if value else UNDATED
    return value


def group_members(group: Group, dimensions: Sequence[Dimension]) -> dict[str, Any]:
    """Return a row with the keys of ``ccusage claude``."""
    pairs = zip(dimensions, group.keys, strict=True)
    members = {one.key: dimension_value(one, value) for one, value in pairs}
    details = dict(group.details)
    if "project_path" in details:
        members["projectPath"] = details.pop("project_path")
    members |= sums_members(group.figures)
    for name in ("vendor_cost", "vendor_difference"):
        if (key := f"{name}_nano_usd") in details:
            nano = details.pop(key)
            members[_camel_case(name)] = None if nano is None else nano / 1_000_000_000
    members |= {_camel_case(name): _detail(value) for name, value in details.items()}
    if "modelName" not in members:
        members |= breakdown_members(group.models)
    return members | {"quality": quality_members(group.figures)}


def group_members_of_all(group: Group, dimensions: Sequence[Dimension]) -> dict[str, Any]:
    """Return a row with the keys of ``ccusage`` without a named agent."""
    members = group_members(group, dimensions)
    first = dimensions[0]
    metadata = (
        {"lastActivity": members.pop("lastActivity", None)}
        if first.name == "session"
        else {"agents": ["claude"]}
    )
    agent = "claude" if first.name == "session" else "all"
    return {"period": members.pop(first.key), "agent": agent, "metadata": metadata, **members}


def _detail(value: Any) -> Any:
    return instant(value) if hasattr(value, "isoformat") else value


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))


def token_members(figures: Figures) -> dict[str, Any]:
    """Return the tokens by kind."""
    return {
        "inputTokens": figures.input_tokens,
        "outputTokens": figures.output_tokens,
        "cacheCreationTokens": figures.cache_write_tokens,
        "cacheReadTokens": figures.cache_read_tokens,
    }


def sums_members(figures: Figures) -> dict[str, Any]:
    """Return tokens and cost of a row or of all rows."""
    return {
        **token_members(figures),
        "totalTokens": figures.total_tokens,
        "totalCost": figures.cost_usd,
    }


def quality_members(figures: Figures) -> dict[str, Any]:
    """Return how much of the figures is partial or unpriced."""
    return {
        "responses": figures.responses,
        "partialResponses": figures.partial_responses,
        "partialOutputTokens": figures.partial_output_tokens,
        "partialOutputShare": round(partial_share(figures), 6),
        "unpricedResponses": figures.unpriced_responses,
        "unpricedTokens": figures.unpriced_tokens,
    }


def partial_share(figures: Figures) -> float:
    """Return the share of output tokens that are of responses that never ended."""
    return figures.partial_output_tokens / figures.output_tokens if figures.output_tokens else 0.0


def unpriced_models(models: Iterable[ModelUsage]) -> list[str]:
    """Return the names of the models with responses that have no price."""
    return sorted({m.model_id for m in models if m.figures.unpriced_responses})


def breakdown_members(models: Sequence[ModelUsage]) -> dict[str, Any]:
    """Return the models of a row, by name and with their figures."""
    return {
        "modelsUsed": sorted(model.model_id for model in models),
        "modelBreakdowns": [
            {
                "modelName": model.model_id,
                **token_members(model.figures),
                "cost": model.figures.cost_usd,
                **({"missingPricing": True} if model.figures.unpriced_responses else {}),
            }
            for model in models
        ],
    }


def report_members(models: Sequence[ModelUsage]) -> dict[str, Any]:
    """Return the totals of a report and their quality."""
    totals = usage.total(model.figures for model in models)
    names = unpriced_models(models)
    sums = sums_members(totals) | ({"unpricedModels": names} if names else {})
    return {"totals": sums, "quality": {**quality_members(totals), "unpricedModels": names}}


def print_csv(
    rows: Iterable[Mapping[str, Any]], *, header: Mapping[str, Any], breakdown: bool = False
) -> None:
    """Print rows as CSV: their scalar members, and those of ``quality``; a header always.

    ``header`` is a row that has every member. With ``breakdown`` there is a line for each model.
    """
    flatten: Callable[[Mapping[str, Any]], Iterator[dict[str, Any]]] = (
        _by_model if breakdown else _flat
    )
    names = list(next(flatten(header)))
    writer = csv.DictWriter(sys.stdout, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    lines = (line for row in rows for line in flatten(row))
    writer.writerows({name: _cell(value) for name, value in line.items()} for line in lines)


def _cell(value: Any) -> Any:
    """Return a value as a cell that no terminal obeys and no spreadsheet takes for a formula.

    A name such as ``@scope/package`` or ``-home-me-project`` computes nothing and stays as it is.
    """
    if isinstance(value, list):
        value = " ".join(map(str, value))
    if not isinstance(value, str):
        return value
    text = one_line(value)
    is_formula = text.startswith(_BEGINS_A_FORMULA) and not _PLAIN_NAME.fullmatch(text)
    return f"'{text}" if is_formula else text


def _flat(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= value
        else:
            flat[name] = value
    flat.pop("modelBreakdowns", None)
    yield flat


def _by_model(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    parts = row.get("modelBreakdowns") or [{"modelName": None, "cost": None}]
    for base in _flat({name: value for name, value in row.items() if name != "quality"}):
        base.pop("modelsUsed", None)
        for part in parts:
            total = sum(value for name, value in part.items() if name.endswith("Tokens"))
            figures = {name: value for name, value in part.items() if name != "cost"}
            yield {**base, **figures, "totalTokens": total, "totalCost": part["cost"]}
