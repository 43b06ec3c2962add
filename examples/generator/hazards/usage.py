"""Hazards of counting: rows that repeat, shrink or collide, and what each response is worth."""

from __future__ import annotations

from datetime import UTC, datetime

from examples.generator import responses, turns
from examples.generator.chain import Thread
from examples.generator.eras import UNPRICED_MODEL
from examples.generator.hazards.stage import Stage, write_prompt
from examples.generator.tree import Json
from examples.generator.truth import Response, Usage


def _say(text: str) -> Json:
    return {"type": "text", "text": text}


def row(thread: Thread, response: Response, *, usage: Json, stop: str | None = None) -> None:
    """Write a row of ``response`` with exactly this ``usage``; its home is noted once."""
    at = thread.session.later(900, 1_100)
    message = {
        "model": response.model,
        "id": response.message_id,
        "type": "message",
        "role": "assistant",
        "content": [_say("row")],
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }
    members: Json = {"message": message}
    if response.request_id is not None:
        members["requestId"] = response.request_id
    response.rows += 1
    if not any(home.file_key == thread.file.key for home in response.homes):
        response.homes.append(responses.home(thread, at))
    thread.chained("assistant", members, at=at, response=response)


def intend(
    thread: Thread, usage: Usage, *, message_id: str = "", gateway: bool = False, final: bool = True
) -> Response:
    """Enter a response that is about to be written into the truth."""
    session, dice = thread.session, thread.session.dice
    response = Response(
        message_id or f"msg_01{dice.letters(22)}",
        None if gateway else f"req_011C{dice.letters(20)}",
        session.model,
        usage,
        is_final=final,
    )
    session.world.truth.responses.append(response)
    return response


def tokens(given: int, output: int, *, written: int = 0, read: int = 0) -> Json:
    """Return a ``usage`` object without the split of cache writes."""
    return {
        "input_tokens": given,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": output,
    }


def split(five_minutes: int, one_hour: int) -> Json:
    """Return the split of cache writes as a member of ``usage``."""
    parts = {"ephemeral_5m_input_tokens": five_minutes, "ephemeral_1h_input_tokens": one_hour}
    return {"cache_creation": parts}


def usage_repeated(stage: Stage) -> None:
    """H7, H8: input and cache values on every row, output growing; only the last is whole."""
    thread = stage.thread()
    write_prompt(thread)
    response = intend(thread, Usage(9, 700, 1_200, 0, 50_000))
    for output in (2, 2, 450):
        row(thread, response, usage=tokens(9, output, written=1_200, read=50_000))
    row(thread, response, usage=tokens(9, 700, written=1_200, read=50_000), stop="tool_use")
    stage.close(thread)


def usage_decreases(stage: Stage) -> None:
    """H8: (766, 1) and then (20219, 0): the row with more output counts, not the last one."""
    thread = stage.thread()
    response = intend(thread, Usage(766, 1), final=False)
    row(thread, response, usage=tokens(766, 1))
    row(thread, response, usage=tokens(20_219, 0))
    stage.close(thread)


def usage_same_output(stage: Stage) -> None:
    """H8: two rows with the same output: the one with the larger total counts."""
    thread = stage.thread()
    response = intend(thread, Usage(12, 5, 0, 0, 9_000), final=False)
    row(thread, response, usage=tokens(12, 5, read=9_000))
    row(thread, response, usage=tokens(12, 5))
    stage.close(thread)


def usage_never_final(stage: Stage) -> None:
    """H9: up to 2.1.56 no row has a stop reason: the response is partial."""
    thread = stage.thread(stage.session("2.1.38"))
    write_prompt(thread)
    turns.step(thread)
    turns.answer(thread)
    stage.close(thread)


def usage_iterations(stage: Stage) -> None:
    """H7: iterations repeat the totals in parts; they are never added."""
    thread = stage.thread()
    response = intend(thread, Usage(30, 400, 0, 0, 8_000))
    parts = [
        {"type": "message", **tokens(10, 150)},
        {"type": "fallback_message", **tokens(20, 250)},
    ]
    row(
        thread, response, usage=tokens(30, 400, read=8_000) | {"iterations": parts}, stop="end_turn"
    )
    stage.close(thread)


def cache_writes(stage: Stage) -> None:
    """Cache writes split in two, larger than their parts, smaller than them, and not split."""
    thread = stage.thread()
    for whole, five, one, usage in (
        (900, 300, 600, Usage(1, 10, 300, 600)),
        (900, 100, 500, Usage(1, 11, 400, 500)),
        (0, 200, 700, Usage(1, 12, 200, 700)),
    ):
        response = intend(thread, usage)
        row(
            thread,
            response,
            usage=tokens(1, usage.output, written=whole) | split(five, one),
            stop="end_turn",
        )
    response = intend(thread, Usage(1, 13, 800))
    row(thread, response, usage=tokens(1, 13, written=800), stop="end_turn")
    stage.close(thread)


def web_searches(stage: Stage) -> None:
    """Web searches are repeated on every row like tokens, and count once."""
    thread = stage.thread()
    response = intend(thread, Usage(5, 60, web_searches=3))
    server = {"server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 1}}
    row(thread, response, usage=tokens(5, 20) | server)
    row(thread, response, usage=tokens(5, 60) | server, stop="end_turn")
    stage.close(thread)


def long_context(stage: Stage) -> None:
    """One request below 200,000 tokens of input in all, and one above."""
    thread = stage.thread(stage.session("2.0.74", model="claude-sonnet-4-5-20250929"))
    for read in (199_000, 201_000):
        response = intend(thread, Usage(500, 100, 0, 0, read))
        row(thread, response, usage=tokens(500, 100, read=read), stop="end_turn")
    stage.close(thread)


def gateway_rows(stage: Stage) -> None:
    """H23: no request id, no cache values, (0, 0) on the first row and the figures on the last."""
    thread = stage.thread(stage.session(model="deepseek-v3.2"))
    thread.session.is_gateway = True
    response = intend(thread, Usage(9_441, 304), gateway=True)
    row(thread, response, usage={"input_tokens": 0, "output_tokens": 0})
    row(thread, response, usage={"input_tokens": 9_441, "output_tokens": 304}, stop="tool_use")
    stage.close(thread)


def gateway_id_collision(stage: Stage) -> None:
    """H23: one message id for responses in two files: without request id the time tells them."""
    for minute in (10, 20):
        start = datetime(2026, 2, 16, 16, minute, tzinfo=UTC)
        thread = stage.thread(stage.session(model="glm-5", start=start))
        response = intend(
            thread, Usage(100 * minute, 7), message_id="msg_abcdefghijkl", gateway=True
        )
        row(thread, response, usage=tokens(100 * minute, 7), stop="end_turn")
        stage.close(thread)


def gateway_null_usage(stage: Stage) -> None:
    """H23: null where numbers belong, odd members beside them, and rows without any usage."""
    thread = stage.thread(stage.session(model="glm-5"))
    response = intend(thread, Usage(40, 8), gateway=True)
    usage = {"input_tokens": 40, "output_tokens": 8, "cache_creation_input_tokens": None}
    extra = {"cache_creation": None, "server_tool_use": None, "iterations": None, "speed": None}
    row(thread, response, usage=usage | extra | {"x_anthropic_cost_usd": 0.5}, stop="end_turn")
    message = {"id": f"msg_{stage.dice.hexadecimal(8)}", "role": "assistant", "content": []}
    thread.chained("assistant", {"message": message}, at=thread.session.later(1, 9))
    stage.close(thread)


def unpriced_model(stage: Stage) -> None:
    """Model that no price book knows: tokens count, cost stays unknown."""
    thread = stage.thread(stage.session(model=UNPRICED_MODEL))
    response = intend(thread, Usage(1_000, 500))
    row(thread, response, usage=tokens(1_000, 500), stop="end_turn")
    stage.close(thread)


def synthetic_rows(stage: Stage) -> None:
    """Errors of the API as assistant rows of the model ``<synthetic>``: no response, no cost."""
    thread = stage.thread()
    write_prompt(thread)
    for error in ("rate_limit", "authentication_failed"):
        synthetic_row(thread, error)
    stage.close(thread)


def synthetic_row(thread: Thread, error: str = "unknown") -> None:
    """Write one row of the model ``<synthetic>``, its usage all zero."""
    session = thread.session
    message = {
        "id": session.dice.uuid(),
        "model": "<synthetic>",
        "role": "assistant",
        "type": "message",
        "stop_reason": "stop_sequence",
        "stop_sequence": "",
        "usage": tokens(0, 0),
        "content": [_say("API Error: the service is busy")],
    }
    tail = {"isApiErrorMessage": True, "error": error}
    session.world.truth.synthetic_rows += 1
    thread.chained("assistant", {"message": message}, at=session.later(5, 90), tail=tail)


def timestamps_backwards(stage: Stage) -> None:
    """H11: a response in the middle of a file is a day older than the one before it."""
    for start in (datetime(2026, 9, 8, 12, tzinfo=UTC), datetime(2026, 9, 7, 12, tzinfo=UTC)):
        session = stage.session(start=start)
        session.session_id = "0b8f5f3e-0c35-4d7b-a1a3-5b1d6a0f7c11"
        known = stage.truth.files.get(f"{stage.project.folder}/{session.session_id}.jsonl")
        thread = stage.thread(session, grown_from=known)
        response = intend(thread, Usage(10, 20))
        row(thread, response, usage=tokens(10, 20), stop="end_turn")
        stage.close(thread)


def daylight_saving(stage: Stage) -> None:
    """Responses around both changes of the clocks in Europe and New York, and around midnight."""
    for month, day, hour in ((3, 29, 0), (10, 25, 0), (3, 8, 6), (11, 1, 5), (7, 14, 21)):
        thread = stage.thread(stage.session(start=datetime(2026, month, day, hour, 50, tzinfo=UTC)))
        for _ in range(4):
            response = intend(thread, Usage(10, 20))
            row(thread, response, usage=tokens(10, 20), stop="end_turn")
            thread.session.later(1_200_000, 1_200_000)
        stage.close(thread)


USAGE = (
    usage_repeated,
    usage_decreases,
    usage_same_output,
    usage_never_final,
    usage_iterations,
    cache_writes,
    web_searches,
    long_context,
    gateway_rows,
    gateway_id_collision,
    gateway_null_usage,
    unpriced_model,
    synthetic_rows,
    timestamps_backwards,
    daylight_saving,
)
