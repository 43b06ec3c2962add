"""API responses: one response is several rows, one block each, with its usage on every row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from examples.generator.chain import Session, Thread
from examples.generator.dice import Quantiles
from examples.generator.eras import Era
from examples.generator.tree import Json
from examples.generator.truth import Home, Response, Usage

Block = Json

_OUTPUT: Quantiles = ((0.0, 20), (0.4, 160), (0.8, 700), (0.97, 3_000), (1.0, 9_000))
_CACHE_WRITE: Quantiles = ((0.0, 60), (0.5, 700), (0.9, 5_000), (1.0, 24_000))
_FIRST_SEEN = 9
"""Until the end of the stream is known, rows show at most this many output tokens."""


@dataclass(slots=True)
class Stream:
    """One response while its rows are written."""

    response: Response
    stop_reason: str
    rows_left: int
    first_at: datetime | None = None


def begin(thread: Thread, rows: int, *, stop_reason: str) -> Stream:
    """Start a response of ``rows`` rows: draw its ids and tokens, and enter it into the truth."""
    session, dice = thread.session, thread.session.dice
    usage, is_final = _draw_usage(session), _is_final(thread)
    if not is_final:
        usage = _as_far_as_seen(usage, dice.chance(0.4))
    session.context += usage.cache_write + usage.output
    if session.is_gateway:
        message_id, request_id = f"msg_{dice.hexadecimal(24)}", None
    else:
        message_id, request_id = f"msg_01{dice.letters(22)}", f"req_011C{dice.letters(20)}"
    response = Response(message_id, request_id, session.model, usage, is_final)
    session.world.truth.responses.append(response)
    return Stream(response, stop_reason, rows)


def row(thread: Thread, stream: Stream, *, block: Block) -> str:
    """Write the next row of a response and return its uuid."""
    at = thread.session.later(120, 2_600)
    response = stream.response
    stream.rows_left -= 1
    if stream.first_at is None:
        stream.first_at = at
        response.homes.append(home(thread, at))
    response.rows += 1
    message = row_message(thread, stream, block=block)
    members: Json = {"message": message}
    if response.request_id is not None:
        members["requestId"] = response.request_id
    if thread.session.era.has("effort"):
        members["effort"] = "high"
    return thread.chained("assistant", members, at=at, response=response)


def home(thread: Thread, at: datetime) -> Home:
    """Return the place of a response whose first row in this file is written at ``at``."""
    return Home(at, thread.is_sidechain, thread.file.key, thread.session.session_id)


def row_message(thread: Thread, stream: Stream, *, block: Block) -> Json:
    """Return the ``message`` of the row for ``block``, as far as the stream has come."""
    era, response = thread.session.era, stream.response
    is_last = stream.rows_left == 0
    shows_end = response.is_final and (is_last or era.number >= (2, 1, 207))
    output = response.usage.output
    if not is_last and not shows_end:
        output = min(output, 1 + response.usage.input % _FIRST_SEEN)
    message: Json = {
        "model": response.model,
        "id": response.message_id,
        "type": "message",
        "role": "assistant",
        "content": [block],
        "stop_reason": stream.stop_reason if shows_end else None,
        "stop_sequence": None,
        "usage": usage_members(era, replace(response.usage, output=output), final=shows_end),
    }
    if era.has("diagnostics"):
        message["diagnostics"] = None
    return message


def usage_members(era: Era, usage: Usage, *, final: bool) -> Json:
    """Return the ``usage`` object in the form of ``era``."""
    members: Json = {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
    }
    if era.has("cache_split"):
        members["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        }
    members["output_tokens"] = usage.output
    members["service_tier"] = "standard"
    if final and era.has("server_tool_use"):
        members["server_tool_use"] = {
            "web_search_requests": usage.web_searches,
            "web_fetch_requests": 0,
        }
    if era.has("inference_geo"):
        members["inference_geo"] = "not_available"
    if final and era.has("iterations"):
        members["iterations"] = [
            {
                "input_tokens": usage.input,
                "output_tokens": usage.output,
                "cache_read_input_tokens": usage.cache_read,
                "cache_creation_input_tokens": usage.cache_write,
                "type": "message",
            }
        ]
    if era.has("speed"):
        members["speed"] = "standard"
    if final and era.has("output_details"):
        members["output_tokens_details"] = {"thinking_tokens": usage.output // 3}
    return members


def _draw_usage(session: Session) -> Usage:
    dice = session.dice
    output = dice.quantile(_OUTPUT)
    if session.is_gateway:
        return Usage(dice.between(400, 9_000), output, cache_read=dice.below(40) * 64)
    written = dice.quantile(_CACHE_WRITE)
    one_hour = written if session.era.number >= (2, 1, 31) and dice.chance(0.6) else 0
    given = dice.between(3, 40)
    searches = dice.between(1, 4) if dice.chance(0.01) else 0
    return Usage(
        input=given,
        output=output,
        cache_write_5m=written - one_hour,
        cache_write_1h=one_hour,
        cache_read=session.context,
        web_searches=searches if session.era.has("server_tool_use") else 0,
    )


def _as_far_as_seen(usage: Usage, is_early: bool) -> Usage:
    """Return what an unfinished response shows: no searches, and often next to no output."""
    output = min(usage.output, _FIRST_SEEN) if is_early else usage.output
    return replace(usage, output=output, web_searches=0)


def _is_final(thread: Thread) -> bool:
    era, dice = thread.session.era, thread.session.dice
    if era.has("final_usage"):
        return dice.chance(0.86 if thread.is_sidechain else 0.99)
    return era.number < (2, 1, 9) and dice.chance(0.2)
