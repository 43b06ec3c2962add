"""Five-hour blocks, as the vendor's limits count them.

A block starts at its first response floored to the hour (UTC) and ends five hours later; the next
response after that starts a new one. Five hours of silence end a block too, which follows: nothing
is silent for longer than its block lasts. Between two blocks that silence is a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from loaders.warehouse import Connection
from reports.dimensions import SUMS
from reports.groups import usage_rows
from reports.usage import Figures, ModelUsage, Window, dearest_first, figures_of, total

LENGTH = timedelta(hours=5)
RECENT = timedelta(days=3)

_MINUTE = timedelta(minutes=1)
_WARNING_SHARE = 0.8

_HOURS = f"""
    select date_trunc('hour', occurred_at) as hour,
        occurred_at = date_trunc('hour', occurred_at) as is_on_the_hour,
        min(occurred_at), max(occurred_at), model_id, {SUMS}
    from usage group by 1, 2, model_id order by 1 nulls last, 2 desc, 3
"""  # noqa: S608 (constants)


_LAST_SILENCE = """
    select max(timezone($zone, occurred_at)::date) filter (occurred_at - before > interval 5 hour)
    from (
        select occurred_at, lag(occurred_at) over (order by occurred_at) as before
        from usage where occurred_at is not null
    )
"""


@dataclass(frozen=True, slots=True)
class Block:
    """One block; instants are in UTC. Responses without a time are a block without any."""

    start: datetime | None
    end: datetime | None
    first: datetime | None
    last: datetime | None
    figures: Figures
    models: tuple[ModelUsage, ...]

    def is_active(self, now: datetime) -> bool:
        """Return whether the block still runs: it has not ended, and was not silent too long."""
        return bool(self.end and self.last and now < self.end and now - self.last < LENGTH)


@dataclass(frozen=True, slots=True)
class Gap:
    """The silence between two blocks, beyond the first five hours of it."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class BurnRate:
    """How fast a block uses tokens and money, from its first to its last response."""

    tokens_per_minute: float
    input_output_per_minute: float
    nano_usd_per_hour: float | None


@dataclass(frozen=True, slots=True)
class Projection:
    """What an active block comes to if it goes on at its rate until it ends."""

    remaining_minutes: int
    total_tokens: int
    cost_nano_usd: int | None


def read_blocks(build: Connection, window: Window) -> tuple[Block | Gap, ...]:
    """Return blocks and gaps, oldest first; what has no time comes last.

    Raises UsageError (exit 2) for a project, host or model that is not there.
    """
    hours = usage_rows(build, window, _HOURS)
    return tuple(_with_gaps(_blocks(hours)))


def newest_block(build: Connection, window: Window) -> Block | None:
    """Return the block of the newest response, None without one.

    Only what follows the last silence of more than five hours is read: a block starts there,
    whatever was before.
    """
    row = usage_rows(build, window, _LAST_SILENCE)
    since = row[0][0] if row and row[0][0] else window.since
    blocks = [
        one
        for one in read_blocks(build, replace(window, since=since))
        if isinstance(one, Block) and one.start
    ]
    return blocks[-1] if blocks else None


def burn_rate(block: Block) -> BurnRate | None:
    """Return the rate of a block, None where all of it is one instant."""
    if block.first is None or block.last is None or block.last <= block.first:
        return None
    minutes, figures = (block.last - block.first) / _MINUTE, block.figures
    cost = figures.cost_nano_usd
    return BurnRate(
        figures.total_tokens / minutes,
        (figures.input_tokens + figures.output_tokens) / minutes,
        None if cost is None else cost / minutes * 60,
    )


def projection(block: Block, now: datetime) -> Projection | None:
    """Return what an active block comes to, None for others and where no rate is known."""
    rate = burn_rate(block)
    if rate is None or block.end is None or not block.is_active(now):
        return None
    minutes = (block.end - now) / _MINUTE
    cost, hourly = block.figures.cost_nano_usd, rate.nano_usd_per_hour
    return Projection(
        round(minutes),
        round(block.figures.total_tokens + rate.tokens_per_minute * minutes),
        None if cost is None or hourly is None else round(cost + hourly * minutes / 60),
    )


def largest_block(blocks: Iterable[Block | Gap], now: datetime) -> int:
    """Return the tokens of the largest block that has ended, 0 without one."""
    ended = (
        block.figures.total_tokens
        for block in blocks
        if isinstance(block, Block) and block.start and not block.is_active(now)
    )
    return max(ended, default=0)


def limit_status(tokens: int, limit: int) -> str:
    """Return ``ok``, ``warning`` (above 80 %) or ``exceeds``."""
    if tokens > limit:
        return "exceeds"
    return "warning" if tokens > limit * _WARNING_SHARE else "ok"


def _blocks(hours: Sequence[tuple[Any, ...]]) -> Iterator[Block]:
    """Add hours up to blocks; responses on the hour are a row of their own, before the others."""
    block: Block | None = None
    for hour, _, first, last, model_id, *sums in hours:
        share = ModelUsage(model_id, figures_of(sums))
        if block is not None and _belongs(block, first):
            block = _joined(block, last, share)
            continue
        if block is not None:
            yield block
        end = hour + LENGTH if hour else None
        block = Block(hour, end, first, last, share.figures, (share,))
    if block is not None:
        yield block


def _belongs(block: Block, first: datetime | None) -> bool:
    if first is None or block.end is None:
        return first is block.end
    return first <= block.end


def _joined(block: Block, last: datetime | None, share: ModelUsage) -> Block:
    shares = {one.model_id: one for one in block.models}
    old = shares.get(share.model_id)
    figures = total((old.figures, share.figures)) if old else share.figures
    shares[share.model_id] = ModelUsage(share.model_id, figures)
    return replace(
        block,
        last=max(block.last, last) if block.last and last else block.last,
        figures=total(one.figures for one in shares.values()),
        models=dearest_first(shares.values()),
    )


def _with_gaps(blocks: Iterable[Block]) -> Iterator[Block | Gap]:
    before: Block | None = None
    for block in blocks:
        if before and before.last and block.first and block.first - before.last > LENGTH:
            yield Gap(before.last + LENGTH, block.first)
        yield block
        before = block
