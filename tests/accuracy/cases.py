"""One small case per counting rule; each has sessions of its own."""

from __future__ import annotations

from typing import Any

from tests.accuracy.records import (
    Json,
    Transcript,
    agent_file,
    assistant,
    main_file,
    message,
    nested,
    record,
    usage,
    user,
)

PRICES = """\
model_pattern,valid_from,valid_to,input,output,cache_write_5m,cache_write_1h,cache_read,web_search,source
orchid-*,2026-01-01,2026-02-01,1,2,,,,,invoice of January
orchid-*,2026-02-01,,10,20,,,,,invoice of February
"""

SPLIT = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 50}


def identity() -> list[Transcript]:
    """Return copies in a fork and nested ones, namesakes of a gateway, and another request."""
    row = assistant("one", "2026-01-05T10:00:00", message("msg_1", usage(3, 7)), "req_1")
    other = assistant("one", "2026-01-05T10:00:05", message("msg_1", usage(4, 8)), "req_2")
    plain = assistant("one", "2026-01-05T10:01:00", message("gw_1", usage(5, 9)))
    again = assistant("one-b", "2026-01-05T10:02:00", message("gw_1", usage(6, 10)))
    inner = message("msg_2", usage(1, 2))
    agent = assistant("one", "2026-01-05T10:03:00", inner, "req_3", isSidechain=True)
    return [
        main_file("one", row, other, plain, nested("one", "2026-01-05T10:03:00", inner)),
        main_file("one_fork", {**row, "sessionId": "one_fork"}, {**plain, "sessionId": "one_fork"}),
        main_file("one-b", again),
        agent_file("one", "1", [agent]),
    ]


def values() -> list[Transcript]:
    """Return a response whose output grows and falls back, and one whose rows tie."""
    rows = [
        usage(10, 1, cache_read_input_tokens=100),
        usage(10, 90, cache_read_input_tokens=100, iterations=[usage(10, 90), usage(9, 9)]),
        usage(10, 40, cache_read_input_tokens=100),
    ]
    tie = [usage(1, 5), usage(0, 5), usage(900, 5)]
    return [
        main_file(
            "two",
            *(
                assistant("two", f"2026-01-06T10:00:0{n}", message("msg_3", row), "req_4")
                for n, row in enumerate(rows)
            ),
            *(
                assistant("two", f"2026-01-06T11:00:0{n}", message("msg_4", row), "req_5")
                for n, row in enumerate(tie)
            ),
        )
    ]


def owners() -> list[Transcript]:
    """Return responses that appear in several files, at other times or at the same."""
    early = assistant("own-z", "2026-01-07T09:00:00", message("msg_5", usage(1, 1)), "req_6")
    late = assistant("own-a", "2026-01-07T09:00:01", message("msg_5", usage(1, 1)), "req_6")
    level = assistant("own-z", "2026-01-07T09:01:00", message("msg_6", usage(1, 1)), "req_7")
    agent = assistant(
        "own-p", "2026-01-07T09:02:00", message("msg_7", usage(2, 3)), "req_8", isSidechain=True
    )
    return [
        main_file("own-z", early, level),
        main_file("own-a", late, {**level, "sessionId": "own-a"}),
        main_file("own-p", user("own-p", "2026-01-07T09:00:00", "go")),
        agent_file("own-a0", "2", [{**level, "sessionId": "own-a0"}]),
        agent_file("own-p", "3", [agent]),
    ]


def days() -> list[Transcript]:
    """Return responses around the midnights of the night in which Berlin's clocks go forward."""
    times = ("2026-03-28T22:59:59", "2026-03-28T23:00:00", "2026-03-29T21:59:59")
    rows = [
        assistant("day", at, message(f"msg_d{n}", usage(0, 10**n)), f"req_d{n}")
        for n, at in enumerate((*times, "2026-03-29T22:00:00"))
    ]
    return [main_file("day", *rows)]


def cache_writes() -> list[Transcript]:
    """Return top-level figures that are right, 0, larger than the parts, missing, alone."""
    shapes = [
        {"cache_creation_input_tokens": 80, "cache_creation": SPLIT},
        {"cache_creation_input_tokens": 0, "cache_creation": SPLIT},
        {"cache_creation_input_tokens": 100, "cache_creation": SPLIT},
        {"cache_creation": SPLIT},
        {"cache_creation_input_tokens": 80},
    ]
    rows = [
        assistant(
            "five",
            f"2026-01-08T10:00:0{n}",
            message(f"msg_c{n}", usage(0, 0, **shape)),
            f"req_c{n}",
        )
        for n, shape in enumerate(shapes)
    ]
    return [main_file("five", *rows)]


def bands() -> list[Transcript]:
    """Return a context of exactly the threshold, and one of a token more."""
    rows = [
        usage(100_000, 10, cache_read_input_tokens=60_000, cache_creation_input_tokens=40_000),
        usage(100_001, 10, cache_read_input_tokens=60_000, cache_creation_input_tokens=40_000),
    ]
    return [
        main_file(
            "six",
            *(
                assistant("six", f"2026-01-09T10:00:0{n}", message(f"msg_b{n}", row), f"req_b{n}")
                for n, row in enumerate(rows)
            ),
        )
    ]


def searches() -> list[Transcript]:
    """Return two web searches, on both rows of the response."""
    counted = usage(
        0,
        0,
        server_tool_use={"web_search_requests": 2},
        speed="standard",
        inference_geo="not_available",
    )
    rows = [
        assistant("seven", f"2026-01-10T10:00:0{n}", message("msg_w", counted), "req_w")
        for n in range(2)
    ]
    return [main_file("seven", *rows)]


def unpaid() -> list[Transcript]:
    """Return a synthetic row, an API error, and a model that no price book knows."""
    synthetic = message("uuid-1", usage(0, 0), model="<synthetic>")
    failed = message("msg_e", usage(5, 5))
    unknown = message("msg_u", usage(7, 11), model="nobody-knows-1")
    return [
        main_file(
            "eight",
            assistant("eight", "2026-01-11T10:00:00", synthetic),
            assistant("eight", "2026-01-11T10:00:01", failed, "req_e", isApiErrorMessage=True),
            assistant("eight", "2026-01-11T10:00:02", unknown, "req_u"),
        )
    ]


def quality() -> list[Transcript]:
    """Return a response one of whose rows stopped, and one without its final row."""
    done = [
        message("msg_f", usage(1, n), stop_reason=reason) for n, reason in ((9, None), (2, "x"))
    ]
    rows = [
        assistant("nine", f"2026-01-12T10:00:0{n}", said, "req_f") for n, said in enumerate(done)
    ]
    cut = assistant("nine", "2026-01-12T10:01:00", message("msg_g", usage(1, 4)), "req_g")
    return [main_file("nine", *rows, cut)]


def dated_prices() -> list[Transcript]:
    """Return a model of the user's own prices, on both sides of a change."""
    rows = [
        assistant("ten", at, message(f"msg_p{n}", usage(1000, 100), model="orchid-2"), f"req_p{n}")
        for n, at in enumerate(
            ("2025-12-31T23:59:59", "2026-01-31T23:59:59", "2026-02-01T00:00:00")
        )
    ]
    return [main_file("ten", *rows)]


def human_turns() -> list[Transcript]:
    """Return five turns of a person among what programs wrote into user records."""
    injected = (
        "<command-name>/x",
        "<local-command-stdout>",
        "<bash-input>",
        "Caveat: x",
        "<ide_x>",
    )
    injected += ("<task-notification>", "<teammate-message>", "<system-reminder>")
    result = [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]
    queued = {"type": "queued_command", "prompt": "and tests", "commandMode": "prompt"}
    notice = {"type": "queued_command", "prompt": "done", "commandMode": "task-notification"}
    at = "2026-01-13T10:00:00"
    return [
        main_file(
            "turns",
            user("turns", at, "hello", uuid="u1"),
            user("turns", at, [{"type": "text", "text": "look"}], uuid="u2"),
            user("turns", at, "<bash-input>", uuid="u3", origin={"kind": "human"}),
            user("turns", at, [{"type": "image", "source": {}}], uuid="u4"),
            record("turns", "attachment", at, uuid="u5", attachment=queued),
            record("turns", "attachment", at, uuid="u6", attachment=notice),
            user("turns", at, "peer", uuid="u7", origin={"kind": "peer"}),
            user("turns", at, "side", uuid="u8", isSidechain=True),
            user("turns", at, "meta", uuid="u9", isMeta=True),
            user("turns", at, "summary", uuid="u10", isCompactSummary=True),
            user("turns", at, result, uuid="u11"),
            user("turns", at, "[Request interrupted by user]", uuid="u12"),
            user("turns", at, "  ", uuid="u13"),
            user("turns", at, [{"type": "text", "text": " "}], uuid="u14"),
            *(user("turns", at, text, uuid=f"i{n}") for n, text in enumerate(injected)),
        )
    ]


def tools() -> list[Transcript]:
    """Return a call with its result, one without, and two calls that share an id."""

    def call(n: int, tool_id: str, name: str) -> Json:
        block = {"type": "tool_use", "id": tool_id, "name": name, "input": {"a": 1}}
        said = message(f"msg_t{n}", usage(1, 1), content=[block])
        return assistant("tools", f"2026-01-14T10:00:0{n}", said, f"req_t{n}", uuid=f"a{n}")

    def result(n: int, tool_id: str, text: str, **more: Any) -> Json:
        block = {"type": "tool_result", "tool_use_id": tool_id, "content": text, **more}
        return user("tools", f"2026-01-14T10:00:0{n}", [block], uuid=f"r{n}")

    first = call(0, "toolu_1", "Bash")
    lines = [first, result(2, "toolu_1", "12345", is_error=True), call(3, "toolu_2", "Read")]
    lines += [call(4, "call_0", "Grep"), result(5, "call_0", "1"), call(6, "call_0", "Glob")]
    lines += [result(8, "call_0", "123")]
    return [
        main_file("tools", *lines),
        main_file("tools_fork", {**first, "sessionId": "tools_fork"}),
    ]


def hostile() -> list[Transcript]:
    """Return lone surrogates, 400 digits, wrong types and many keys, each on a line."""
    head = '{"type":"assistant","sessionId":"odd","timestamp":"2026-01-15T10:00:00.000Z",'
    lines = [
        head + '"requestId":"q1","message":{"id":"h1","model":"m","content":"\\ud800",'
        '"usage":{"input_tokens":1,"output_tokens":2}}}',
        head
        + '"requestId":"q2","message":{"id":"h2","model":"m","usage":{"input_tokens":'
        + "9" * 400
        + ',"output_tokens":3}}}',
        head + '"requestId":"q3","message":{"id":"h3","model":"m","usage":{"input_tokens":"4",'
        '"output_tokens":-5,"cache_creation":[1],"cache_read_input_tokens":{"a":1}}}}',
        head + '"requestId":"q4","message":{"id":"h4","model":"m\\u0000","usage":'
        '{"output_tokens":6,"output_tokens":7}}}',
        head + '"message":[{"id":"h5"}]}',
        head + '"message":{' + ",".join(f'"{n}":"x"' for n in range(3398)) + "}}",
        head + '"message":"text"}',
        head + '"message":null,"data":7,"attachment":"x","origin":[]}',
        '{"type":17,"sessionId":"odd","message":{"usage":{"input_tokens":1}}}',
    ]
    return [main_file("odd", *lines)]


def projects() -> list[Transcript]:
    """Return a folder spelled in three ways, named late, and never."""
    at = "2026-01-16T10:00:00"
    spelled = [
        main_file(f"path-{n}", user(f"path-{n}", at, "x", cwd=cwd), folder=f"-path-{n}")
        for n, cwd in enumerate(("C:\\Code\\App", "c:\\code\\app\\", "C:/Code/App"))
    ]
    early = user("path-late", at, "x", cwd=None)
    late = user("path-late", at, "y", cwd="C:\\Code\\App")
    never = {"type": "summary", "summary": "x"}
    return [
        *spelled,
        main_file("path-late", early, late, folder="-path-9"),
        main_file("path-never", never, folder="-path-never"),
    ]


def timeless() -> list[Transcript]:
    """Return a response without a time, and one with a time that is none."""
    rows = [
        assistant("dark", "2026-01-17T10:00:00", message(f"msg_n{n}", usage(n, 1)), f"req_n{n}")
        for n in range(2)
    ]
    return [main_file("dark", {**rows[0], "timestamp": None}, {**rows[1], "timestamp": "noon"})]


CASES = (
    identity,
    values,
    owners,
    days,
    cache_writes,
    bands,
    searches,
    unpaid,
    quality,
    dated_prices,
    human_turns,
    tools,
    hostile,
    projects,
    timeless,
)
