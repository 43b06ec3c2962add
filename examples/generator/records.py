"""Records around the responses: prompts, results, system, attachment, progress and state."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from examples.generator.chain import Session, Thread, stamp
from examples.generator.dice import Quantiles
from examples.generator.tools import Call
from examples.generator.tree import Json
from examples.generator.words import NOUNS, VERBS

PROMPT_SIZES: Quantiles = ((0.0, 12), (0.5, 120), (0.85, 900), (0.97, 4_500), (1.0, 16_000))
_ATTACHMENT_SIZES: Quantiles = ((0.0, 40), (0.6, 300), (0.93, 2_000), (1.0, 24_000))
_RUNNING_OUTPUT: Quantiles = ((0.0, 40), (0.5, 260), (0.9, 1_400), (1.0, 4_200))


def human_prompt(thread: Thread, text: str = "") -> str:
    """Write what a person typed and return the record's uuid; it counts as a human turn."""
    session, dice = thread.session, thread.session.dice
    era = session.era
    text = text or session.world.library.prose.take(dice, dice.quantile(PROMPT_SIZES)).strip()
    at = session.later(4_000, 600_000)
    tail: Json = {}
    if era.has("thinking_level"):
        tail["thinkingMetadata"] = {"level": "none", "disabled": True, "triggers": []}
    if era.has("todos"):
        tail["todos"] = []
    if era.has("permission_mode"):
        tail["permissionMode"] = "default"
    if era.has("prompt_id"):
        thread.prompt_id = tail["promptId"] = dice.uuid()
    if era.has("origin"):
        tail["origin"] = {"kind": "human"}
    members: Json = {"message": {"role": "user", "content": text}}
    uuid = thread.chained("user", members, at=at, tail=tail, is_human=True)
    session.world.truth.human_turns += 1
    if era.has("snapshots"):
        snapshot(thread, uuid, at=at)
    return uuid


def injected(thread: Thread, text: str, *, is_meta: bool = True) -> str:
    """Write a user record that nobody typed."""
    members: Json = {"message": {"role": "user", "content": text}}
    if is_meta:
        members["isMeta"] = True
    return thread.chained("user", members, at=thread.session.later(1, 60))


def tool_result(thread: Thread, call: Call, *, tool_use_id: str, answers: str) -> str:
    """Write the result of a tool call; ``answers`` is the uuid of the assistant record."""
    session = thread.session
    block: Json = {"tool_use_id": tool_use_id, "type": "tool_result", "content": call.content}
    if call.is_error or session.dice.chance(0.35):
        block["is_error"] = call.is_error
    tail: Json = {}
    if call.result is not None:
        tail["toolUseResult"] = call.result
    if session.era.has("source_uuid"):
        tail["sourceToolAssistantUUID"] = answers
    session.world.truth.tool_results += 1
    message = {"role": "user", "content": [block]}
    at = session.later(15, 20_000)
    return thread.chained("user", {"message": message}, at=at, tail=tail)


def system(thread: Thread, subtype: str, **members: Any) -> str:
    """Write a system record."""
    at = thread.session.later(1, 900)
    return thread.chained("system", {"subtype": subtype, **members, "isMeta": False}, at=at)


def attachment(thread: Thread, kind: str, *, is_human: bool = False, **members: Any) -> str:
    """Write an attachment record."""
    at = thread.session.later(1, 40)
    inner = {"attachment": {"type": kind, **members}}
    return thread.chained("attachment", inner, at=at, is_human=is_human)


def drawn_attachment(thread: Thread) -> str:
    """Write an attachment of one of the kinds whose content has another shape each time."""
    dice, prose = thread.session.dice, thread.session.world.library.prose
    text = prose.take(dice, dice.quantile(_ATTACHMENT_SIZES))
    kind = dice.below(5)
    if kind == 0:
        return attachment(thread, "task_reminder", content=[], itemCount=0)
    if kind == 1:
        return attachment(thread, "skill_listing", content=text, skillCount=9)
    if kind == 2:  # noqa: PLR2004 -- the kinds have no other order than this one
        content = {"type": "text", "file": {"filePath": "notes.md", "content": text}}
        return attachment(thread, "file", filename="notes.md", content=content)
    hook = "PostToolUse"
    return attachment(
        thread, "hook_additional_context", content=[text], hookName=hook, hookEvent=hook
    )


def queued_prompt(thread: Thread) -> str:
    """Write a prompt that was typed while the agent was busy; since 2.1.97 its only trace."""
    session = thread.session
    text = session.world.library.prose.take(session.dice, 150).strip()
    at = session.later(500, 9_000)
    queue_operation(thread, "enqueue", content=text)
    queue_operation(thread, "remove")
    members = {"prompt": text, "commandMode": "prompt", "timestamp": stamp(at)}
    session.world.truth.human_turns += 1
    return attachment(thread, "queued_command", is_human=True, **members)


def queue_operation(thread: Thread, operation: str, *, content: str = "") -> None:
    """Write a queue operation, a record that is repeated word for word at times."""
    members: Json = {
        "type": "queue-operation",
        "operation": operation,
        "timestamp": stamp(thread.session.now),
        "sessionId": thread.session.session_id,
    }
    if content:
        members["content"] = content
    thread.state(members)


def snapshot(thread: Thread, message_uuid: str, *, at: datetime) -> None:
    """Write a file-history snapshot; it names no session."""
    dice, library = thread.session.dice, thread.session.world.library
    backups: Json = {}
    for version in range(1, 1 + dice.below(7)):
        name = f"{dice.hexadecimal(16)}@v{version}"
        backups[library.path(dice)] = {
            "backupFileName": name,
            "version": version,
            "backupTime": stamp(at),
        }
    inner = {"messageId": message_uuid, "trackedFileBackups": backups, "timestamp": stamp(at)}
    thread.state(
        {
            "type": "file-history-snapshot",
            "messageId": message_uuid,
            "snapshot": inner,
            "isSnapshotUpdate": dice.chance(0.5),
        }
    )


def hook_progress(thread: Thread) -> str:
    """Write that a hook is running."""
    use = thread.session.dice.uuid()
    data = {
        "type": "hook_progress",
        "hookEvent": "PreToolUse",
        "hookName": "PreToolUse:Bash",
        "command": "sh ${CLAUDE_PROJECT_DIR}/.claude/hooks/check.sh",
    }
    members = {"data": data, "parentToolUseID": use, "toolUseID": use}
    return thread.chained("progress", members, at=thread.session.later(1, 300))


def running_command(thread: Thread, tool_use_id: str) -> None:
    """Write what a long command prints, second by second, all of it again each time."""
    dice, library = thread.session.dice, thread.session.world.library
    text = library.output.take(dice, dice.quantile(_RUNNING_OUTPUT))
    seconds = dice.between(2, 16)
    for second in range(1, seconds + 1):
        seen = text[: len(text) * second // seconds]
        data = {
            "type": "bash_progress",
            "output": seen[-800:],
            "fullOutput": seen,
            "elapsedTimeSeconds": second + 1,
            "totalLines": seen.count("\n"),
        }
        members = {
            "data": data,
            "toolUseID": f"bash-progress-{second}",
            "parentToolUseID": tool_use_id,
        }
        thread.chained("progress", members, at=thread.session.later(990, 1_040))


def turn_end(thread: Thread) -> None:
    """Write the records that close a turn."""
    session, era, dice = thread.session, thread.session.era, thread.session.dice
    if era.has("stop_hooks"):
        hooks = [
            {"command": f"{dice.pick(VERBS)} {dice.pick(NOUNS)}", "durationMs": dice.below(99)}
        ]
        system(thread, "stop_hook_summary", hookCount=1, hookInfos=hooks, hookErrors=[])
    if era.has("turn_duration"):
        system(thread, "turn_duration", durationMs=dice.between(900, 400_000))
    states(session, thread)


def states(session: Session, thread: Thread) -> None:
    """Write the state records that are repeated at every turn."""
    era, dice, named = session.era, session.dice, {"sessionId": session.session_id}
    if era.has("last_prompt") and thread.parent:
        text = session.world.library.prose.take(dice, 60).strip()
        thread.state(
            {"type": "last-prompt", "lastPrompt": text, "leafUuid": thread.parent, **named}
        )
    if era.has("titles"):
        thread.state({"type": "ai-title", "aiTitle": session.nickname, **named})
        thread.state({"type": "permission-mode", "permissionMode": "default", **named})
    if era.has("mode"):
        thread.state({"type": "mode", "mode": "normal", **named})
    if era.has("bridge") and dice.chance(0.1):
        bridge = {"bridgeSessionId": session.nickname, "lastSequenceNum": dice.below(9)}
        thread.state({"type": "bridge-session", **bridge, **named})
