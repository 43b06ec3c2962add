"""``annals usage blocks``: five-hour blocks as a table, JSON with the keys of ccusage, or CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from analytics.cli import usage_json
from analytics.cli.days import current_instant
from analytics.cli.layout import Column, Kind
from analytics.cli.options import Order
from analytics.cli.output import print_json_rows, say
from analytics.cli.reports import COMPACT_COLUMNS, FIGURE_COLUMNS, figure_cells, show_notes
from analytics.cli.tables import Table, count, instant, show, show_markdown, usd
from analytics.cli.usage_request import (
    require_one_form,
    say_no_usage,
    window_members,
    window_of,
)
from annals.errors import UsageError
from reports import usage
from reports.blocks import (
    RECENT,
    Block,
    Gap,
    burn_rate,
    largest_block,
    limit_status,
    projection,
    read_blocks,
)
from reports.usage import Figures, ModelUsage, Window

if TYPE_CHECKING:
    from analytics.cli.effective_settings import InForce
    from analytics.cli.usage_options import BlockOptions
    from loaders.warehouse import Connection

_NANO = 1_000_000_000
_UNDATED = "undated"


@dataclass(frozen=True, slots=True)
class _Seen:
    """When the report is made, in which zone its days begin, and the limit it measures against."""

    now: datetime
    zone: ZoneInfo
    limit: int | None


def answer_blocks(build: Connection, found: InForce, options: BlockOptions) -> None:
    """Read the blocks and print them in the form that was asked for."""
    require_one_form(options)
    window = window_of(options, options.timezone or found.settings.timezone)
    whole = Window(window.timezone, None, None, window.project, window.host, window.model)
    every = read_blocks(build, whole)
    now = current_instant()
    limit = _token_limit(options.token_limit, every, now)
    seen = _Seen(now, ZoneInfo(window.timezone), limit)
    blocks = [one for one in every if _is_wanted(one, window, options, seen)]
    if options.order is Order.DESC:
        blocks.reverse()
    if options.as_json:
        rows = (_members(block, seen) for block in blocks)
        models = _models(blocks)
        rest = {
            **usage_json.report_members(models),
            "tokenLimit": limit,
            **window_members(window, build, found),
        }
        print_json_rows("blocks", rows, rest)
    elif options.as_csv:
        rows = (_members(block, seen) for block in blocks)
        usage_json.print_csv(rows, header=_members(_EMPTY, seen))
    else:
        _show(build, blocks, seen, options)


_EMPTY = Block(None, None, None, None, Figures(), ())


def _token_limit(text: str | None, blocks: Sequence[Block | Gap], now: datetime) -> int | None:
    if text is None:
        return None
    if text.strip().lower() == "max":
        return largest_block(blocks, now) or None
    try:
        limit = int(text.replace(",", "").replace("_", ""))
    except ValueError:
        limit = 0
    if limit < 1:
        raise UsageError(
            f"--token-limit {text} is not a number of tokens",
            hint="Give a whole number above 0, or max for the largest block so far.",
        )
    return limit


def _is_wanted(one: Block | Gap, window: Window, options: BlockOptions, seen: _Seen) -> bool:
    is_active = isinstance(one, Block) and one.is_active(seen.now)
    if options.active:
        return is_active
    if one.start is None:
        return not (window.since or window.until or options.recent)
    if options.recent and one.start < seen.now - RECENT and not is_active:
        return False
    day = one.start.astimezone(seen.zone).date()
    return (window.since is None or day >= window.since) and (
        window.until is None or day <= window.until
    )


def _models(blocks: Sequence[Block | Gap]) -> list[ModelUsage]:
    return [model for block in blocks if isinstance(block, Block) for model in block.models]


def _members(one: Block | Gap, seen: _Seen) -> dict[str, Any]:
    """Return a block or a gap with the keys of ccusage."""
    is_gap = isinstance(one, Gap)
    block = _EMPTY if isinstance(one, Gap) else one
    figures = block.figures
    start = instant(one.start)
    return {
        "id": f"gap-{start}" if is_gap else start or _UNDATED,
        "startTime": start or None,
        "endTime": instant(one.end) or None,
        "actualEndTime": instant(block.last) or None,
        "isActive": block.is_active(seen.now),
        "isGap": is_gap,
        "entries": figures.responses,
        "tokenCounts": {
            "inputTokens": figures.input_tokens,
            "outputTokens": figures.output_tokens,
            "cacheCreationInputTokens": figures.cache_write_tokens,
            "cacheReadInputTokens": figures.cache_read_tokens,
        },
        "totalTokens": figures.total_tokens,
        "costUSD": 0 if is_gap else figures.cost_usd,
        "models": [model.model_id for model in block.models],
        "burnRate": _rate_members(block) if block.is_active(seen.now) else None,
        "projection": _projection_members(block, seen),
        **_limit_members(block, seen),
        "quality": usage_json.quality_members(figures),
    }


def _rate_members(block: Block) -> dict[str, Any] | None:
    rate = burn_rate(block)
    if rate is None:
        return None
    cost = rate.nano_usd_per_hour
    return {
        "tokensPerMinute": rate.tokens_per_minute,
        "tokensPerMinuteForIndicator": rate.input_output_per_minute,
        "costPerHour": None if cost is None else cost / _NANO,
    }


def _projection_members(block: Block, seen: _Seen) -> dict[str, Any] | None:
    known = projection(block, seen.now)
    if known is None:
        return None
    cost = known.cost_nano_usd
    return {
        "totalTokens": known.total_tokens,
        "totalCost": None if cost is None else round(cost / _NANO, 2),
        "remainingMinutes": known.remaining_minutes,
    }


def _limit_members(block: Block, seen: _Seen) -> dict[str, Any]:
    known = projection(block, seen.now)
    if known is None or seen.limit is None:
        return {}
    return {
        "tokenLimitStatus": {
            "limit": seen.limit,
            "projectedUsage": known.total_tokens,
            "percentUsed": round(known.total_tokens / seen.limit * 100, 1),
            "status": limit_status(known.total_tokens, seen.limit),
        }
    }


def _show(
    build: Connection, blocks: Sequence[Block | Gap], seen: _Seen, options: BlockOptions
) -> None:
    figures = COMPACT_COLUMNS if options.compact else FIGURE_COLUMNS
    share = (Column("Limit", Kind.FIGURE),) if seen.limit else ()
    columns = (Column("Block", least=16), Column("Status"), Column("Models", rank=3))
    rows = (row for block in blocks for row in _rows(block, seen, compact=options.compact))
    models = _models(blocks)
    totals = figure_cells(usage.total(model.figures for model in models))
    blank = ("",) if seen.limit else ()
    footer = ("Total", "", "", *(totals[-2:] if options.compact else totals), *blank)
    table = Table((*columns, *figures, *share), rows, footer=footer if blocks else None)
    if options.as_markdown:
        show_markdown(table)
        return
    show(table, wide=options.wide)
    if blocks:
        show_notes(models)
    elif options.active:
        say("no active block: no response in the last 5 hours that the build knows of")
        say("-> Run `annals pipeline` to read what is new, or leave out --active.")
    else:
        say_no_usage(build)


def _rows(one: Block | Gap, seen: _Seen, *, compact: bool) -> Iterator[tuple[str, ...]]:
    width = len(COMPACT_COLUMNS if compact else FIGURE_COLUMNS)
    share = 1 if seen.limit else 0
    if isinstance(one, Gap):
        length = _duration(one.end - one.start)
        yield (_local(one.start, seen), f"gap of {length}", *[""] * (1 + width + share))
        return
    cells = figure_cells(one.figures)
    names = ", ".join(sorted(model.model_id for model in one.models))
    shares = (_percent(one.figures.total_tokens, seen),) if seen.limit else ()
    start = _local(one.start, seen) if one.start else _UNDATED
    yield (start, _status(one, seen), names, *(cells[-2:] if compact else cells), *shares)
    yield from _rows_ahead(one, seen, width)


def _rows_ahead(block: Block, seen: _Seen, width: int) -> Iterator[tuple[str, ...]]:
    """Yield what an active block uses in an hour, and what it comes to."""
    rate, known = burn_rate(block), projection(block, seen.now)
    if rate is None or known is None:
        return
    blanks = [""] * width
    share = ("",) if seen.limit else ()
    hourly = count(round(rate.tokens_per_minute * 60))
    cost = _money(rate.nano_usd_per_hour)
    yield ("", f"rate: {hourly} tokens/h", *blanks, cost, *share)
    shares = (_percent(known.total_tokens, seen),) if seen.limit else ()
    tokens, cost = count(known.total_tokens), _money(known.cost_nano_usd)
    yield ("", f"projected: {tokens} tokens", *blanks, cost, *shares)


def _money(nano_usd: float | None) -> str:
    return usd(None if nano_usd is None else nano_usd / _NANO)


def _percent(tokens: int, seen: _Seen) -> str:
    limit = seen.limit or 1
    status = limit_status(tokens, limit)
    return f"{tokens / limit:.0%}" + ("" if status == "ok" else f" {status}")


def _status(block: Block, seen: _Seen) -> str:
    if block.first is None or block.last is None or block.end is None or block.start is None:
        return "no time known"
    if block.is_active(seen.now):
        spent, left = _duration(seen.now - block.start), _duration(block.end - seen.now)
        return f"active, {spent} in, {left} left"
    return _duration(block.last - block.start)


def _duration(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes:02d}m" if hours else f"{minutes}m"


def _local(moment: datetime, seen: _Seen) -> str:
    return f"{moment.astimezone(seen.zone):%Y-%m-%d %H:%M}"
