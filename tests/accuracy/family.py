"""One conversation with all its relatives: tail, subagent, compaction, fork, moved copy."""

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
    usage,
    user,
)

MAIN = "main"


def call(at: str, number: int, *, output: int = 5, **more: Any) -> Json:
    """Return a row of response ``number`` with a tool call."""
    block = {"type": "tool_use", "id": f"toolu_{number}", "name": "Bash", "input": {"n": number}}
    said = message(f"msg_{number}", usage(number, output), content=[block])
    return assistant(MAIN, at, said, f"req_{number}", uuid=f"call-{number}", **more)


def result(at: str, number: int) -> Json:
    """Return the result of the tool call of response ``number``."""
    block = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": "done"}
    return user(MAIN, at, [block], uuid=f"result-{number}")


def gateway(at: str, tokens: int) -> Json:
    """Return a row of a response that has no request id."""
    said = message("gateway_1", usage(tokens, tokens), model="deepseek-v3.2")
    return assistant(MAIN, at, said, uuid=f"gateway-{tokens}")


AGENT = message("msg_agent", usage(11, 12), stop_reason="end_turn")

HEAD: list[Json] = [
    user(MAIN, "2026-05-01T10:00:00", "begin", uuid="turn-1", cwd=None),
    call("2026-05-01T10:00:01", 1),
    call("2026-05-01T10:00:02", 2),
    result("2026-05-01T10:00:03", 1),
    nested(MAIN, "2026-05-01T10:00:04", AGENT, "req_agent"),
    gateway("2026-05-01T10:00:09", 21),
    user(MAIN, "2026-05-01T10:00:10", "go on", uuid="turn-2"),
]

TAIL: list[Json] = [
    gateway("2026-05-01T10:00:08", 22),
    result("2026-05-01T10:00:11", 2),
    call("2026-05-01T10:00:02", 2, output=50),
    call("2026-05-02T00:00:00", 3),
]


def head() -> list[Transcript]:
    """Return the main transcript as far as it goes."""
    return [main_file(MAIN, *HEAD)]


def tail() -> list[Transcript]:
    """Return the whole main transcript."""
    return [main_file(MAIN, *HEAD, *TAIL)]


def agents() -> list[Transcript]:
    """Return its subagent, and a compaction that copies the conversation."""
    own = assistant(MAIN, "2026-05-01T10:00:04", AGENT, "req_agent", isSidechain=True, uuid="a-1")
    side = [{**line, "isSidechain": True} for line in HEAD[:4]]
    return [agent_file(MAIN, "1", [own]), agent_file(MAIN, "acompact-2", side)]


def fork() -> list[Transcript]:
    """Return a fork whose path comes first, which goes on elsewhere on another day.

    It has the final row of the last response that it copied.
    """
    copies = [{**line, "sessionId": "a-fork"} for line in HEAD[:4]]
    said = message("msg_2", usage(2, 70), stop_reason="tool_use")
    final = assistant("a-fork", "2026-05-01T10:00:02", said, "req_2", uuid="final")
    own = assistant(
        "a-fork",
        "2026-05-03T10:00:00",
        message("msg_fork", usage(31, 32)),
        "req_fork",
        cwd="/src/elsewhere",
        gitBranch="fork",
    )
    return [main_file("a-fork", *copies, final, own)]


def moved() -> list[Transcript]:
    """Return a copy of the head in another project folder, which comes first."""
    return [main_file(MAIN, *HEAD[:3], folder="-a-first-folder")]
