"""Cases of what people and tools did: projects, turns, calls."""

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

AT = "2026-09-10T10:00:00"


def _answer(session: str, cwd: str, *, tool: str = "") -> Json:
    blocks = [{"type": "tool_use", "id": tool, "name": "Bash", "input": {}}] if tool else []
    name = f"{session}{cwd}{tool}"
    said = message(f"msg {name}", usage(1, 1), content=blocks)
    return assistant(session, AT, said, f"req {name}", cwd=cwd, uuid=f"a {name}")


def wandering() -> list[Transcript]:
    """Return a session whose shell wanders off, one in a worktree, one in a recorded worktree."""
    state = {
        "type": "worktree-state",
        "sessionId": "walk-c",
        "worktreeSession": {"originalCwd": "/walk/mono", "worktreePath": "/trees/one"},
    }
    own = [
        user("walk-a", AT, "hi", cwd="/walk/mono"),
        _answer("walk-a", "/walk/mono/packages/api", tool="toolu_walk"),
        _answer("walk-a", "/scratch"),
    ]
    strayed = user("walk-a", AT, "a copy", cwd="/scratch/elsewhere", uuid="strayed")
    worktree = "/walk/mono/.claude/worktrees/calm-otter-1a2b"
    return [
        main_file("walk-a", *own, folder="-walk-mono"),
        main_file("0-walk", strayed, user("0-walk", AT, "x", cwd="/walk/mono")),
        main_file("walk-b", _answer("walk-b", worktree), folder="-walk-mono--claude-worktrees-x"),
        main_file("walk-c", _answer("walk-c", "/trees/one/src"), state, folder="-trees-one"),
        main_file("walk-d", _answer("walk-d", "/trees/one-more"), folder="-trees-one-more"),
    ]


def spellings() -> list[Transcript]:
    """Return one folder of Windows in three spellings, and one whose accent is written twice."""
    folders = ("C:\\Code\\Shop", "/mnt/c/code/shop/", "c:/Code/shop/.claude/worktrees/fox")
    accents = ("/src/caf\u00e9", "/src/cafe\u0301")
    return [
        main_file(f"spell-{number}", _answer(f"spell-{number}", cwd), folder=f"-spell-{number}")
        for number, cwd in enumerate((*folders, *accents))
    ]


def unattended() -> list[Transcript]:
    """Return prompts of a schedule, another session and a hook, and two that a person typed."""
    told = [
        {"turnOrigin": "scheduled", "promptSource": "system"},
        {"turnOrigin": "peer"},
        {"promptSource": "hook"},
        {"turnOrigin": "task_notification"},
        {"turnOrigin": "human", "promptSource": "typed"},
        {"promptSource": "sdk"},
    ]
    return [
        main_file(
            "alone",
            *(user("alone", AT, "go", uuid=f"t{n}", **more) for n, more in enumerate(told)),
        )
    ]


def queued() -> list[Transcript]:
    """Return lists of blocks that were typed while the agent was busy."""

    def prompt(number: int, *blocks: Json) -> Json:
        attached = {"type": "queued_command", "commandMode": "prompt", "prompt": list(blocks)}
        return record("queue", "attachment", AT, uuid=f"q{number}", attachment=attached)

    notice = {"type": "text", "text": "<task-notification>done</task-notification>"}
    words = {"type": "text", "text": "fix it"}
    return [
        main_file(
            "queue",
            prompt(1, notice),
            prompt(2, {"type": "text", "text": "<ide_opened_file>a</ide_opened_file>"}, words),
            prompt(3, {"type": "image", "source": {}}),
            prompt(4),
            record(
                "queue",
                "attachment",
                AT,
                uuid="q5",
                attachment={"type": "queued_command", "prompt": "[maybe] later"},
            ),
        )
    ]


def nested_calls() -> list[Transcript]:
    """Return calls known from progress alone, twice, and one that the subagent's file has too."""

    def call(number: int) -> Json:
        block = {"type": "tool_use", "id": f"toolu_n{number}", "name": "Bash", "input": {}}
        return message(f"msg_nest{number}", usage(10, 5), content=[block])

    def result(number: int, at: str) -> Json:
        block = {"type": "tool_result", "tool_use_id": f"toolu_n{number}", "content": "ok"}
        inner = {"type": "user", "timestamp": at, "message": {"role": "user", "content": [block]}}
        data = {"type": "agent_progress", "message": inner}
        return record("nest", "progress", "2026-09-10T10:00:30", data=data, uuid=f"p{number}")

    first = nested("nest", AT, call(1), "req_nest1")
    own = assistant("nest", AT, call(2), "req_nest2", isSidechain=True, uuid="own")
    return [
        main_file(
            "nest",
            {**first, "uuid": "p-a"},
            {**first, "uuid": "p-b"},
            result(1, "2026-09-10T10:00:02.000Z"),
            {**nested("nest", AT, call(2), "req_nest2"), "uuid": "p-c"},
            result(2, "2026-09-10T10:00:03.000Z"),
        ),
        agent_file("nest", "1", [own]),
    ]


def server_tools() -> list[Transcript]:
    """Return a search that the server made, and one that failed."""

    def blocks(number: int, content: Any) -> list[Json]:
        name = f"srvtoolu_{number}"
        return [
            {"type": "server_tool_use", "id": name, "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": name, "content": content},
        ]

    failed = {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}
    lines = [
        assistant("serve", AT, message(f"msg_s{n}", usage(1, 1), content=blocks(n, said)), f"rs{n}")
        for n, said in enumerate(([], failed))
    ]
    return [main_file("serve", *lines)]


WORK_CASES = (wandering, spellings, unattended, queued, nested_calls, server_tools)
