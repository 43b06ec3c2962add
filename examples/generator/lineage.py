"""Copies: forks, compaction agents, and subagents repeated in their parent's progress records."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from examples.generator import responses
from examples.generator.chain import Kept, Thread, stamp
from examples.generator.tree import Json, TranscriptFile


def fork(thread: Thread, *, keep: int, remint: bool = False) -> Thread:
    """Start a session that begins with the first ``keep`` records of ``thread``.

    The copies keep message ids and timestamps, name the new session and say where they are from.
    With ``remint`` they also get new uuids, as an editor does it.
    """
    session = replace(thread.session, session_id=thread.session.dice.uuid())
    path = f"{session.project.folder}/{session.session_id}.jsonl"
    copy = Thread(session, TranscriptFile(path))
    uuids: dict[str, str] = {}
    for kept in thread.kept[:keep]:
        old = kept.record["uuid"]
        uuids[old] = session.dice.uuid() if remint else old
        record = kept.record | {"sessionId": session.session_id, "uuid": uuids[old]}
        if kept.record["parentUuid"] is not None:
            record["parentUuid"] = uuids[kept.record["parentUuid"]]
        if "session_id" in record:
            record["session_id"] = session.session_id
        if not remint:
            record["forkedFrom"] = {"sessionId": thread.session.session_id, "messageUuid": old}
        write_copy(copy, replace(kept, record=record))
    return copy


def compaction_agent(thread: Thread) -> Thread:
    """Write an ``agent-acompact`` file: the whole conversation again, as a side chain."""
    session = thread.session
    agent_id = f"acompact-{session.dice.hexadecimal(6)}"
    path = f"{session.project.folder}/{session.session_id}/subagents/agent-{agent_id}.jsonl"
    copy = Thread(session, TranscriptFile(path), agent_id=agent_id)
    for kept in thread.kept:
        record = kept.record | {"isSidechain": True, "agentId": agent_id}
        write_copy(copy, replace(kept, record=record, is_human=False))
    session.world.close(copy.file)
    return copy


def write_copy(copy: Thread, kept: Kept) -> None:
    """Write a record that exists elsewhere already, and note this home of its response."""
    copy.write(kept)
    if kept.response is not None:
        note_home(copy, kept)


def note_home(thread: Thread, kept: Kept) -> None:
    """Note that the response of ``kept`` also is in the file of ``thread``."""
    response = kept.response
    if response is None:
        return
    response.rows += 1
    key = thread.file.key
    if all(home.file_key != key for home in response.homes):
        at = datetime.fromisoformat(kept.record["timestamp"])
        response.homes.append(responses.home(thread, at))


def repeat_nested(thread: Thread, agent: Thread, *, tool_use_id: str) -> None:
    """Write the responses of ``agent`` again, nested in progress records of ``thread``."""
    for kept in agent.kept:
        if kept.response is None:
            continue
        message = {
            name: kept.record[name]
            for name in ("type", "timestamp", "message", "uuid", "requestId")
            if name in kept.record
        }
        write_nested(thread, message, agent_id=agent.agent_id, tool_use_id=tool_use_id)
        note_home(thread, kept)


def nested_response(thread: Thread, agent_id: str, *, tool_use_id: str) -> None:
    """Write a subagent's response that exists only as ``agent_progress`` of the main file.

    It was billed all the same, so it is a response like any other; its tool calls are not counted.
    """
    session = thread.session
    prose = session.world.library.prose.take(session.dice, 300)
    stream = responses.begin(thread, 1, stop_reason="end_turn")
    at = session.later(200, 4_000)
    stream.rows_left = 0
    response = stream.response
    response.homes.append(replace(responses.home(thread, at), is_subagent=True))
    response.rows += 1
    message: Json = {
        "type": "assistant",
        "timestamp": stamp(at),
        "message": responses.row_message(thread, stream, block={"type": "text", "text": prose}),
        "uuid": session.dice.uuid(),
    }
    if response.request_id is not None:
        message["requestId"] = response.request_id
    write_nested(thread, message, agent_id=agent_id, tool_use_id=tool_use_id)


def write_nested(thread: Thread, message: Json, *, agent_id: str, tool_use_id: str) -> None:
    """Write ``message``, a subagent's record, as an ``agent_progress`` record of ``thread``."""
    data = {"message": message, "type": "agent_progress", "prompt": "", "agentId": agent_id}
    members = {
        "data": data,
        "parentToolUseID": tool_use_id,
        "toolUseID": f"agent_{message['uuid']}",
    }
    thread.chained("progress", members, at=thread.session.later(1, 30))
